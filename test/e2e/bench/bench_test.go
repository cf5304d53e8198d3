package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// TestQuick plays all rows with next to nothing to do. It sees that they work, not what they
// measure.
func TestQuick(t *testing.T) {
	kube, err := cluster.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "results")
	book, err := OpenBook(dir)
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Bin: filepath.Dir(kube), Rounds: 1, Quick: true, Progress: func(message string) { t.Log(message) }}
	if err := Run(t.Context(), options, book.Add); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows(quickScale()) {
		result, ok := book.results[r.name]
		if !ok || len(result.Steps) != len(r.steps) {
			t.Errorf("%s: the results are %+v", r.name, result)
			continue
		}
		for n, step := range result.Steps {
			for _, contender := range []string{Own, Peer} {
				checkWork(t, r, step, contender)
			}
			if n > 0 && result.Steps[n-1].Size >= step.Size {
				t.Errorf("%s: size %d comes after %d", r.name, step.Size, result.Steps[n-1].Size)
			}
		}
		for _, drawn := range plotted(r) {
			if content, err := os.ReadFile(filepath.Join(dir, drawn.file(r))); err != nil || !strings.Contains(string(content), "<svg") {
				t.Errorf("%s: %v", drawn.title(r), err)
			}
		}
	}
	page, err := os.ReadFile(dir + ".md")
	if err != nil || !strings.Contains(string(page), "## A backlog of claims") {
		t.Errorf("the page is %s, %v", page, err)
	}
	if again, err := OpenBook(dir); err != nil || len(again.results) != len(book.results) {
		t.Errorf("opened again: %d rows, %v", len(again.results), err)
	}
}

// checkWork looks for what must be so at any size: what was to be done was done.
func checkWork(t *testing.T, r row, step Step, contender string) {
	t.Helper()
	if len(step.Samples[contender]) != 1 {
		t.Fatalf("%s: %d samples of %s", r.name, len(step.Samples[contender]), contender)
	}
	for _, of := range r.shows {
		value, ok := step.Samples[contender][0][of]
		if !ok {
			t.Errorf("%s: %s has no %s", r.name, contender, of)
		}
		if atLeast := map[measure]float64{rate: 1, peak: 10, resident: 10, writes: 1, size: 10, cpuEach: 0.01}[of]; value < atLeast {
			t.Errorf("%s: the %s of %s is %v", r.name, of, contender, value)
		}
	}
}

func TestUnknownRow(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), Options{Rows: []string{"everything"}}, nil)
	if err == nil || !strings.Contains(err.Error(), `"everything"`) || !strings.Contains(err.Error(), "backlog") {
		t.Errorf("the error is %v", err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	step := Step{Samples: map[string][]sample{
		Own:  {{rate: 300, peak: 70}, {rate: 200, peak: 90}, {rate: 100, peak: 80}},
		Peer: {{rate: 100, peak: 100}},
	}}
	for _, c := range []struct {
		goal      goal
		text, met string
	}{
		{goal{of: rate, atLeast: 200}, "≥ 200/s", "met"},
		{goal{of: rate, atLeast: 201}, "≥ 201/s", "not met"},
		{goal{of: rate, timesPeer: 2}, "≥ 2 × the peers: 200/s", "met"},
		{goal{of: rate, timesPeer: 3}, "≥ 3 × the peers: 300/s", "not met"},
		{goal{of: peak, atMost: 80}, "≤ 80 MB", "met"},
		{goal{of: peak, partOfPeer: 0.5}, "≤ 0.5 × the peers: 50 MB", "not met"},
	} {
		if text, met := c.goal.judge(step); text != c.text || met != c.met {
			t.Errorf("%+v: %q, %s, want %q, %s", c.goal, text, met, c.text, c.met)
		}
	}
	if cell := step.cell(Own, rate); cell != "200/s (100/s to 300/s)" {
		t.Errorf("the cell is %q", cell)
	}
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	const line = `{"kind":"Event","verb":"patch","userAgent":"a","objectRef":{"resource":"persistentvolumeclaims","subresource":"status"},"responseStatus":{"code":200},"stageTimestamp":"2026-01-02T03:04:05.600000Z"}`
	r, err := parseRequest([]byte(line))
	if err != nil || r.verb != "patch" || r.resource != claims || r.subresource != "status" || r.code != 200 || r.at.Nanosecond() != 600_000_000 || !r.writesVolume() {
		t.Errorf("%+v, %v", r, err)
	}
	for _, wrong := range []string{"", "{}", `{"verb":"get"}`} {
		if _, err := parseRequest([]byte(wrong)); err == nil {
			t.Errorf("%q was taken for a request", wrong)
		}
	}
}
