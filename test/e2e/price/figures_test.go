package price

import (
	"strings"
	"testing"
	"time"
)

// sample is one of 1,000 claims.
func sample(took time.Duration, journal int, lone time.Duration) Sample {
	return Sample{
		Claims: 1000, Took: took, Writes: Writes{Journal: journal, Volumes: 1000},
		Lone: []time.Duration{lone, lone, time.Minute}, RoundTrip: []time.Duration{4 * time.Millisecond},
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	without := sample(10*time.Second, 0, 20*time.Millisecond)
	for name, c := range map[string]struct {
		with   Sample
		excess string
	}{
		"cheap":      {sample(10*time.Second, 60, 24*time.Millisecond), ""},
		"many":       {sample(10*time.Second, 120, 24*time.Millisecond), "extra writes a volume: 0.120, at most 0.100"},
		"slow":       {sample(12*time.Second, 60, 24*time.Millisecond), "loss of throughput: 0.167, at most 0.100"},
		"slow alone": {sample(10*time.Second, 60, 28*time.Millisecond), "round trips of a lone claim: 2.000, at most 1.000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// One pair that was disturbed does not decide.
			disturbed := Pair{On: sample(time.Minute, 900, time.Second), Off: without}
			f := &Figures{Pairs: []Pair{{On: c.with, Off: without}, disturbed, {On: c.with, Off: without}}}
			if got := strings.Join(f.Excess(), "\n"); got != c.excess {
				t.Errorf("the excess is %q, want %q\n%s", got, c.excess, f.Table())
			}
		})
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	writes, err := count(`# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="POST",version="v1"} 12
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="DELETE",version="v1"} 10
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="cluster",subresource="",verb="LIST",version="v1"} 500
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="persistentvolumes",scope="resource",subresource="",verb="POST",version="v1"} 3e+03
apiserver_request_total{code="429",component="apiserver",dry_run="",group="",resource="persistentvolumes",scope="resource",subresource="",verb="POST",version="v1"} 61
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="persistentvolumeclaims",scope="resource",subresource="status",verb="PATCH",version="v1"} 1
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 6000
`)
	if err != nil || writes != (Writes{Journal: 22, Volumes: 3001}) {
		t.Errorf("%+v, %v", writes, err)
	}
}

func TestExtraCPU(t *testing.T) {
	t.Parallel()
	on, off := CPU{Sidecar: 3 * time.Second, API: 8 * time.Second}, CPU{Sidecar: 2 * time.Second, API: 8 * time.Second}
	f := &Figures{Pairs: []Pair{{On: Sample{CPU: on}, Off: Sample{CPU: off}}}}
	if got := f.ExtraCPU(); got < 0.099 || got > 0.101 {
		t.Errorf("%f on top", got)
	}
}
