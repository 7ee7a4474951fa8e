package skew

import (
	"os"
	"testing"

	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/cmd/internal/scenario"
)

func TestMain(m *testing.M) { federationtest.Main(m) }

// TestWhatIsReplacedIsNotMissed (I84): members and replicas go from one release
// to the next and back, in either order, one by one, and replicas come and go by
// the command line alone; users notice nothing, and nothing is moved.
func TestWhatIsReplacedIsNotMissed(t *testing.T) {
	rolling, replicas := read(t, "rolling"), read(t, "replicas")
	if rolling.Setup != replicas.Setup {
		t.Fatal("the scenarios do not share a federation")
	}
	old := earlier(t)
	w, err := scenario.StartOld(t.Context(), rolling.Setup, federationtest.State(t), federationtest.Binaries(t), old, func(what string) { t.Log(what) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Run(rolling.Name, func(t *testing.T) {
		if old == "" {
			t.Skip(noHistory)
		}
		play(t, rolling, w)
	})
	t.Run(replicas.Name, func(t *testing.T) { play(t, replicas, w) })
}

func read(t *testing.T, name string) script.Scenario {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	s, err := script.Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func play(t *testing.T, s script.Scenario, w *scenario.World) {
	f, err := script.Run(t.Context(), s, w.Ports(func(step string) { t.Log(step) }))
	t.Log(f)
	if err != nil {
		t.Fatal(err)
	}
	if !f.OK() {
		t.Errorf("promises were broken: %+v", f)
	}
}
