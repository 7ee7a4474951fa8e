package processnode

import (
	"context"
	"os"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// source reads what pods refer to, each time from the API server: pods are few,
// and a cache of all secrets would be one more place where they lie.
type source struct {
	client kubernetes.Interface
	config *rest.Config
}

// Secret reads a secret.
func (s source) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return s.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

// ConfigMap reads a config map.
func (s source) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return s.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Token issues a token bound to the pod. It is not renewed.
func (s source) Token(ctx context.Context, pod *corev1.Pod, from *corev1.ServiceAccountTokenProjection) (string, error) {
	request := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{
		ExpirationSeconds: from.ExpirationSeconds,
		BoundObjectRef:    &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if from.Audience != "" {
		request.Spec.Audiences = []string{from.Audience}
	}
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	token, err := s.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return token.Status.Token, nil
}

// RootCA is the authority with which the agent itself checks the API server.
func (s source) RootCA() []byte {
	if len(s.config.CAData) > 0 {
		return s.config.CAData
	}
	pem, _ := os.ReadFile(s.config.CAFile) // without one there is nothing to publish
	return pem
}
