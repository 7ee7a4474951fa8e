package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// figure is one line of the bench's output.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"` // the median
	Unit    string  `json:"unit"`
	Against string  `json:"against"` // what it is to be compared with
	Ratio   float64 `json:"ratio"`   // value over that; 0: there is nothing to compare with
	N       int     `json:"n"`
	Spread  float64 `json:"spread"` // (max − min) / median
}

// of makes a figure out of the values of all rounds.
func of(name, unit string, values []float64) figure {
	sorted := slices.Sorted(slices.Values(values))
	f := figure{Name: name, Unit: unit, N: len(sorted)}
	if len(sorted) == 0 {
		return f
	}
	f.Value = median(sorted)
	if f.Value != 0 {
		f.Spread = (sorted[len(sorted)-1] - sorted[0]) / f.Value
	}
	return f
}

func median(sorted []float64) float64 {
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// percentile is the smallest value that so large a part of all does not exceed.
func percentile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(part*float64(len(sorted))))-1)]
}

// against sets what the figure is compared with.
func (f figure) against(limit figure) figure { return f.over(limit.Name, limit.Value) }

func (f figure) over(name string, value float64) figure {
	f.Against = name
	if value != 0 {
		f.Ratio = f.Value / value
	}
	return f
}

// print prints figures, rounded to what they mean.
func print(out io.Writer, figures ...figure) error {
	for _, f := range figures {
		f.Value, f.Ratio, f.Spread = round(f.Value), round(f.Ratio), round(f.Spread)
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "BENCH %s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// round keeps three digits, or the whole number.
func round(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0
	}
	scale := math.Pow(10, max(0, 2-math.Floor(math.Log10(math.Abs(x)))))
	return math.Round(x*scale) / scale
}
