package bench

import (
	"fmt"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 9 * vg.Centimeter
)

// curve is a plot of a measure over the sizes of a row.
type curve struct{ of measure }

// plotted returns the plots of a row: there are some if it has several sizes.
func plotted(r row) []curve {
	if len(r.steps) < 2 {
		return nil
	}
	return []curve{{rate}, {cpuEach}, {peak}, {firstDone}}
}

func (c curve) title(r row) string { return r.title + ": " + c.of.shown().title }

func (c curve) file(r row) string {
	return r.name + "-" + strings.ToLower(strings.ReplaceAll(string(c.of), " ", "-")) + ".svg"
}

// draw writes all plots.
func (b *Book) draw() error {
	for _, r := range b.inOrder() {
		for _, c := range plotted(r) {
			if err := c.draw(r, b.results[r.name], filepath.Join(b.dir, c.file(r))); err != nil {
				return fmt.Errorf("drawing %s: %w", c.title(r), err)
			}
		}
	}
	return nil
}

func (c curve) draw(r row, result Result, path string) error {
	p := plot.New()
	p.Title.Text = c.title(r)
	p.X.Label.Text = result.Steps[0].Title
	p.Y.Label.Text = strings.TrimSpace(strings.NewReplacer("%.0f", "", "%.2f", "", "%%", "%").Replace(c.of.shown().format))
	p.Y.Min, p.X.Min = 0, 0
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for _, of := range []struct {
		contender string
		ink       color.RGBA
	}{
		{Own, color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}},
		{Peer, color.RGBA{R: 0xd6, G: 0x27, B: 0x28, A: 0xff}},
	} {
		if err := c.add(p, of.contender, of.ink, result); err != nil {
			return err
		}
	}
	return p.Save(plotWidth, plotHeight, path)
}

// spread is points with the least and the greatest value of each.
type spread struct {
	plotter.XYs
	plotter.YErrors
}

// add adds the line of a contender.
func (c curve) add(p *plot.Plot, contender string, ink color.RGBA, result Result) error {
	var points spread
	for _, step := range result.Steps {
		if len(step.Samples[contender]) == 0 {
			continue
		}
		median, least, most := step.median(contender, c.of)
		points.XYs = append(points.XYs, plotter.XY{X: float64(step.Size), Y: median})
		points.YErrors = append(points.YErrors, struct{ Low, High float64 }{median - least, most - median})
	}
	if len(points.XYs) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(points.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(points)
	if err != nil {
		return err
	}
	line.Color, dots.Color, bars.Color = ink, ink, ink
	dots.Shape = draw.CircleGlyph{}
	p.Add(line, dots, bars)
	p.Legend.Add(contender, line, dots)
	p.Y.Min, p.X.Min = 0, 0
	return nil
}
