package figures

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 9, 1, 2}, 3}} {
		if got := Median(c.of); got != c.want {
			t.Errorf("of %v: %v, want %v", c.of, got, c.want)
		}
	}
	if got := MedianOf([]string{"a", "ccc", "bb"}, func(s string) float64 { return float64(len(s)) }); got != 2 {
		t.Errorf("of lengths: %v", got)
	}
}

// report is one that was made before.
type report struct{ Volumes int }

func (r report) Table() string {
	table := NewTable("", "volumes", "at most")
	table.Row("made", r.Volumes)
	return table.String()
}

func TestReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report")
	if err := Write(path+".md", report{7}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path + ".md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("|  | volumes | at most |\n|--|--:|--:|\n| made | 7 |  |\n", string(content)); diff != "" {
		t.Errorf("as Markdown (-want +got):\n%s", diff)
	}
	if err := Write(path+".json", report{7}); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := Read(path+".json", &back); err != nil || back.Volumes != 7 {
		t.Errorf("read back: %+v, %v", back, err)
	}
	if err := Read(path+".md", &back); err == nil {
		t.Error("Markdown was read as JSON")
	}
	if err := Write("", report{7}); err != nil {
		t.Errorf("no path: %v", err)
	}
}

func TestMetric(t *testing.T) {
	t.Parallel()
	const text = `# TYPE requests_total counter
requests_total{code="201",verb="POST",path="a\"} b"} 3e+03
requests_total{code="429",verb="POST",path=""} 61
requests_total_more{code="201"} 5
go_goroutines 12
`
	all, err := Metric(text, "requests_total")
	want := []Series{
		{map[string]string{"code": "201", "verb": "POST", "path": `a\"} b`}, 3000},
		{map[string]string{"code": "429", "verb": "POST", "path": ""}, 61},
	}
	if diff := cmp.Diff(want, all); diff != "" || err != nil {
		t.Errorf("series (-want +got):\n%s%v", diff, err)
	}
	if got, err := Gauge(text, "go_goroutines"); got != 12 || err != nil {
		t.Errorf("gauge: %v, %v", got, err)
	}
	for _, name := range []string{"go_threads", "requests_total"} {
		if _, err := Gauge(text, name); err == nil {
			t.Errorf("%s is a gauge", name)
		}
	}
	if _, err := Metric("requests_total many", "requests_total"); err == nil {
		t.Error("a value that is no number was taken")
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	const stat = "4711 (a ) b) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 9 0 100"
	if got, err := parseCPU(stat); err != nil || got != 1540*time.Millisecond {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := parseCPU("4711 (a) S 1"); err == nil {
		t.Error("too few fields are enough")
	}
	if got, err := parseMemory("Name:\tx\nVmHWM:\t    3072 kB\nVmRSS:\t    2048 kB\n"); err != nil || got != (Memory{Resident: 2 * Mebibyte, Peak: 3 * Mebibyte}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseMemory("Name:\tx\nVmRSS:\t    2048 kB\n"); err == nil {
		t.Error("a process without memory was measured")
	}
	p, err := MeasureProcess(os.Getpid(), "go_goroutines 3\ngo_memstats_heap_alloc_bytes 4096\n")
	if err != nil || p.Resident < Mebibyte || p.Descriptors < 3 || p.Goroutines != 3 || p.Heap != 4096 {
		t.Errorf("this process: %+v, %v", p, err)
	}
	if _, err := MeasureProcess(os.Getpid(), ""); err == nil || !strings.Contains(err.Error(), "go_memstats_heap_alloc_bytes") {
		t.Errorf("a process without metrics: %v", err)
	}
}
