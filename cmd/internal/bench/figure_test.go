package main

import (
	"strings"
	"testing"
)

func TestAFigureIsOneLine(t *testing.T) {
	var out strings.Builder
	limit := of("raw", "commits/s", []float64{4000, 5000, 6000})
	if err := print(&out, of("ours", "executions/s", []float64{1333.3, 900, 1500}).against(limit)); err != nil {
		t.Fatal(err)
	}
	want := `BENCH {"name":"ours","value":1333,"unit":"executions/s","against":"raw","ratio":0.267,"n":3,"spread":0.45}` + "\n"
	if out.String() != want {
		t.Errorf("got %swant %s", out.String(), want)
	}
}

func TestMedianAndPercentile(t *testing.T) {
	if m := median([]float64{1, 2, 4, 9}); m != 3 {
		t.Errorf("median %g, want 3", m)
	}
	values := []float64{5, 1, 3, 2, 4}
	for part, want := range map[float64]float64{0.5: 3, 0.99: 5, 0.2: 1} {
		if got := percentile(values, part); got != want {
			t.Errorf("percentile %g is %g, want %g", part, got, want)
		}
	}
}

func TestLinesOfATestArePassedOn(t *testing.T) {
	var out strings.Builder
	in := "goos: linux\n    x_test.go:1: BENCH {\"name\":\"a\"}\nok\n"
	if err := passOn(strings.NewReader(in), &out); err != nil || out.String() != "BENCH {\"name\":\"a\"}\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if passOn(strings.NewReader("ok\n"), &out) == nil {
		t.Error("no line is no error")
	}
}

func TestAnUnknownPartIsRefused(t *testing.T) {
	b := bench{rounds: 1, length: 1, bin: t.TempDir()}
	if err := b.all(t.Context(), []string{"placement", "nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("error %v", err)
	}
}
