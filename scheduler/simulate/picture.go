package simulate

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// colours of the policies, told apart also without red and green.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// panel is one drawing within the picture.
type panel struct {
	b                  *strings.Builder
	x, y, w, h         float64
	fromX, toX, lo, hi float64
}

func (p panel) point(x, y float64) (float64, float64) {
	return p.x + (x-p.fromX)/(p.toX-p.fromX)*p.w, p.y + p.h - (y-p.lo)/(p.hi-p.lo)*p.h
}

func (p panel) text(x, y float64, anchor, s string) {
	fmt.Fprintf(p.b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, escape(s))
}

func (p panel) line(colour string, points [][2]float64) {
	p.b.WriteString("<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"" + colour + "\" points=\"")
	for _, at := range points {
		x, y := p.point(at[0], at[1])
		fmt.Fprintf(p.b, "%.1f,%.1f ", x, y)
	}
	p.b.WriteString("\"/>\n")
}

func (p panel) frame(title string) {
	fmt.Fprintf(p.b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"#999\"/>\n", p.x, p.y, p.w, p.h)
	fmt.Fprintf(p.b, "<text x=\"%.1f\" y=\"%.1f\" font-weight=\"bold\">%s</text>\n", p.x, p.y-8, escape(title))
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;").Replace(s)
}

// Picture draws the report as one SVG: how many have waited at most how long,
// and how much of the fleet was used when.
func (r Report) Picture() string {
	var b strings.Builder
	b.WriteString("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"420\" viewBox=\"0 0 960 420\" font-family=\"sans-serif\" font-size=\"12\">\n")
	b.WriteString("<rect width=\"960\" height=\"420\" fill=\"white\"/>\n")
	s := r.Scenario
	fmt.Fprintf(&b, "<text x=\"60\" y=\"22\" font-size=\"14\">%d executions of %d tenants on %d clusters over %s, seed %d</text>\n",
		s.Executions, s.Tenants, s.Clusters, s.Over.D(), s.Seed)
	r.waited(panel{b: &b, x: 60, y: 70, w: 400, h: 260, hi: 1})
	r.used(panel{b: &b, x: 520, y: 70, w: 400, h: 260, hi: 1})
	for i, x := range r.Results {
		at := 60 + float64(i%6)*145
		fmt.Fprintf(&b, "<rect x=\"%.0f\" y=\"378\" width=\"14\" height=\"4\" fill=\"%s\"/>\n", at, colours[i%len(colours)])
		fmt.Fprintf(&b, "<text x=\"%.0f\" y=\"384\">%s</text>\n", at+20, escape(x.Policy))
		fmt.Fprintf(&b, "<text x=\"%.0f\" y=\"402\" fill=\"#555\">p99 %s</text>\n", at+20, seconds(x.WaitP99))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// waited draws the distribution of waits, from a second on, in powers of ten.
func (r Report) waited(p panel) {
	worst := 10.0
	for _, x := range r.Results {
		worst = max(worst, x.WaitMax)
	}
	p.toX = math.Ceil(math.Log10(worst))
	p.frame("executions that waited at most so long")
	for e := 0; float64(e) <= p.toX; e++ {
		x, y := p.point(float64(e), 0)
		p.text(x, y+16, "middle", (time.Duration(math.Pow10(e)) * time.Second).String())
	}
	p.shares()
	for i, x := range r.Results {
		var points [][2]float64
		for k := range samples + 1 {
			part := float64(k) / samples
			wait := quantile(x.waits, part)
			points = append(points, [2]float64{math.Log10(max(wait, 1)), part})
		}
		p.line(colours[i%len(colours)], points)
	}
}

// used draws the utilisation over time.
func (r Report) used(p panel) {
	p.toX = 1
	for _, x := range r.Results {
		if n := len(x.times); n > 0 {
			p.toX = max(p.toX, x.times[n-1].Hours())
		}
	}
	p.frame("CPUs in use, over the hours")
	for k := range 5 {
		at := p.toX * float64(k) / 4
		x, y := p.point(at, 0)
		p.text(x, y+16, "middle", fmt.Sprintf("%.1f", at))
	}
	p.shares()
	for i, x := range r.Results {
		var points [][2]float64
		for k, at := range x.times {
			points = append(points, [2]float64{at.Hours(), min(x.usage[k], 1)})
		}
		p.line(colours[i%len(colours)], points)
	}
}

// shares labels the upright axis in per cent.
func (p panel) shares() {
	for k := range 5 {
		x, y := p.point(p.fromX, float64(k)/4)
		p.text(x-6, y+4, "end", fmt.Sprintf("%d %%", 25*k))
	}
}
