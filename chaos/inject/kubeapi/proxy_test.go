package kubeapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	v1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/chaos/inject"
	"github.com/skein-project/skein/chaos/inject/kubeapi"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open puts a proxy before a real API server. It gives the way through, and the
// way past.
func open(t *testing.T) (p *kubeapi.Proxy, through, past v1.ConfigMapInterface) {
	t.Helper()
	cluster := localtest.Cluster(t)
	config, err := cluster.RESTConfig()
	must(t, err)
	transport, err := rest.TransportFor(config)
	must(t, err)
	files, err := cluster.ServerCert("kubeapi-test")
	must(t, err)
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	must(t, err)
	ca, err := os.ReadFile(cluster.CAFile())
	must(t, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	p, err = kubeapi.Start(kubeapi.Options{Server: config.Host, Transport: transport, Cert: cert, Clients: clients})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p, maps(t, config, p.URL()), maps(t, config, config.Host)
}

func maps(t *testing.T, config *rest.Config, host string) v1.ConfigMapInterface {
	t.Helper()
	c := rest.CopyConfig(config)
	c.Host = host
	api, err := kubernetes.NewForConfig(c)
	must(t, err)
	return api.CoreV1().ConfigMaps("default")
}

func object(t *testing.T) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(fmt.Sprintf("x%d", time.Now().UnixNano())), Namespace: "default"}}
}

// TestWritesThatAreRefused never reach the server; those whose answer is late or
// lost have.
func TestWritesThatAreRefused(t *testing.T) {
	p, through, past := open(t)
	for what, is := range map[string]func(error) bool{
		kubeapi.Errs:        apierrors.IsInternalError,
		kubeapi.Unavailable: apierrors.IsServiceUnavailable,
		kubeapi.Slow:        apierrors.IsTimeout,
		kubeapi.Late:        apierrors.IsTimeout,
		kubeapi.Lost:        func(err error) bool { return err != nil && apierrors.ReasonForError(err) == metav1.StatusReasonUnknown },
	} {
		t.Run(what, func(t *testing.T) {
			must(t, p.Disturb(inject.Trouble{What: what, Share: 1}))
			o := object(t)
			_, err := through.Create(t.Context(), o, metav1.CreateOptions{})
			if !is(err) {
				t.Errorf("the create was answered %v", err)
			}
			if n := p.Disturbed(); n != 1 { // since this trouble began
				t.Errorf("%d were counted", n)
			}
			p.Calm()
			_, err = past.Get(t.Context(), o.Name, metav1.GetOptions{})
			if done := what == kubeapi.Late || what == kubeapi.Lost; done != (err == nil) {
				t.Errorf("afterwards the object is asked for: %v", err)
			}
			if _, err := through.List(t.Context(), metav1.ListOptions{}); err != nil {
				t.Errorf("calm, a list is answered %v", err)
			}
		})
	}
}

// TestAThrottledClientTriesAgain: it is told when.
func TestAThrottledClientTriesAgain(t *testing.T) {
	p, through, _ := open(t)
	must(t, p.Disturb(inject.Trouble{What: kubeapi.Throttled, Share: 1}))
	calm := time.AfterFunc(500*time.Millisecond, p.Calm)
	defer calm.Stop()
	if _, err := through.Create(t.Context(), object(t), metav1.CreateOptions{}); err != nil {
		t.Errorf("the second try was answered %v", err)
	}
	if p.Disturbed() == 0 {
		t.Error("nothing was throttled")
	}
}

// TestConflictsAreOfUpdates only.
func TestConflictsAreOfUpdates(t *testing.T) {
	p, through, past := open(t)
	must(t, p.Disturb(inject.Trouble{What: kubeapi.Conflict, Share: 1}))
	o, err := through.Create(t.Context(), object(t), metav1.CreateOptions{})
	must(t, err)
	o.Data = map[string]string{"a": "b"}
	if _, err := through.Update(t.Context(), o, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("the update was answered %v", err)
	}
	if now, err := past.Get(t.Context(), o.Name, metav1.GetOptions{}); err != nil || len(now.Data) > 0 {
		t.Errorf("%v was updated all the same, or %v", now, err)
	}
}

// TestWatchesExpire: open ones end, and new ones cannot go on from where those
// were.
func TestWatchesExpire(t *testing.T) {
	p, through, _ := open(t)
	list, err := through.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	from := metav1.ListOptions{ResourceVersion: list.ResourceVersion}
	w, err := through.Watch(t.Context(), from)
	must(t, err)
	defer w.Stop()
	_, err = through.Create(t.Context(), object(t), metav1.CreateOptions{})
	must(t, err)
	if e := next(t, w); e.Type != watch.Added {
		t.Errorf("the watch says %v", e)
	}
	must(t, p.Disturb(inject.Trouble{What: kubeapi.Expired, Share: 1}))
	for next(t, w).Type != "" { // what the client makes of the broken stream, then the end
	}
	if _, err := through.Watch(t.Context(), from); !apierrors.IsResourceExpired(err) {
		t.Errorf("the next watch was answered %v", err)
	}
	p.Calm()
	w, err = through.Watch(t.Context(), from)
	must(t, err)
	defer w.Stop()
	if e := next(t, w); e.Type != watch.Added {
		t.Errorf("calm, a watch says %v", e)
	}
}

func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case e := <-w.ResultChan():
		return e
	case <-ctx.Done():
		t.Fatal("the watch is silent")
		return watch.Event{}
	}
}

// TestStrangersAreNotLetThrough: the server takes the proxy for the client.
func TestStrangersAreNotLetThrough(t *testing.T) {
	p, _, _ := open(t)
	config := &rest.Config{Host: p.URL(), TLSClientConfig: rest.TLSClientConfig{CAFile: localtest.Cluster(t).CAFile()}}
	api, err := kubernetes.NewForConfig(config)
	must(t, err)
	if _, err := api.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("a client without a certificate was let through")
	}
	if err := p.Disturb(inject.Trouble{What: "418", Share: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown trouble: %v", err)
	}
	if err := p.Disturb(inject.Trouble{What: kubeapi.Errs, Share: 1.5}); !fault.Is(err, fault.Invalid) {
		t.Errorf("more than all: %v", err)
	}
}
