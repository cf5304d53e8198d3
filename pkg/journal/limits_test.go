package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// compressed is a value of a batch with that text, repeated.
func compressed(t testing.TB, text string, times int) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	for range times {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// valid is the entry of an intent, to be changed.
func valid(t *testing.T, change func(*entry)) []byte {
	t.Helper()
	e, err := encode(intent(1), 1, newTable(newPacker(Installation{})))
	if err != nil {
		t.Fatal(err)
	}
	change(e)
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return compressed(t, string(text), 1)
}

func TestHostileRecordsAreNotTaken(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"too much text":          {compressed(t, strings.Repeat(" ", 1<<20), 5), "the size in bytes"},
		"too many requests":      {valid(t, func(e *entry) { e.Plans = make([]planEntry, maxRecordPlans+1) }), "the number of requests"},
		"too many replaced":      {valid(t, func(e *entry) { e.Replaces = make([]string, maxReplaced+1) }), "the number of replaced batches"},
		"a generation of no end": {valid(t, func(e *entry) { e.Generation = 1<<63 - 1 }), "the generation"},
		"a negative generation":  {valid(t, func(e *entry) { e.Generation = -1 }), "the generation"},
		"a long handle":          {valid(t, func(e *entry) { e.Useless = long }), "the length of the volume handle"},
		"a long claim":           {valid(t, func(e *entry) { e.Claim.Name = long }), "the length of the claim's name"},
		"another claim":          {valid(t, func(e *entry) { e.Claim.UID = "another" }), "not about its key"},
		"too many values":        {compressed(t, `{"plans":[`+strings.Repeat("{},", maxValues)+"{}]}", 1), "the number of JSON values"},
		"all places, many times": {valid(t, func(e *entry) {
			e.Plans[0].Topology = &requirementEntry{Requisite: make([]run, 1000)}
			for i := range e.Plans[0].Topology.Requisite {
				e.Plans[0].Topology.Requisite[i].Count = 100_000
			}
		}), "the number of places"},
	} {
		t.Run(name, func(t *testing.T) {
			all := readAll(map[string][]byte{string(uid(1)): c.value})
			if len(all) != 1 || all[0].err == nil || !strings.Contains(all[0].err.Error(), c.want) {
				t.Errorf("read %+v, want an error about %q", all, c.want)
			}
		})
	}
}

// TestHostileBatchTakesLittleMemory: what is beyond the limits is never in memory.
func TestHostileBatchTakesLittleMemory(t *testing.T) {
	bomb := compressed(t, strings.Repeat(" ", 1<<20), 64)
	content := map[string][]byte{}
	for n := range 64 {
		content[fmt.Sprint(n)] = bomb
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all := readAll(content)
	runtime.ReadMemStats(&after)
	if len(all) != len(content) {
		t.Errorf("%d of %d records are told", len(all), len(content))
	}
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 4 {
		t.Errorf("%d MiB were allocated", got)
	}
}

func TestTooManyRecords(t *testing.T) {
	content := map[string][]byte{}
	for n := range maxRecords + 2 {
		content[fmt.Sprint(n)] = nil
	}
	for _, f := range readAll(content) {
		if f.err == nil || !strings.Contains(f.err.Error(), "the number of records") {
			t.Fatalf("read %+v", f)
		}
	}
}

// TestWhatIsWrittenIsRead: the program keeps its own limits, in a cluster with very many
// places: what does not fit is recorded without its topology.
func TestWhatIsWrittenIsRead(t *testing.T) {
	var names []string
	for n := range 30_000 {
		names = append(names, fmt.Sprintf("a-node-with-a-rather-long-name-%s-%06d", strings.Repeat("x", 100), n))
	}
	next := intent(1)
	next.Plans = []*provision.Plan{{
		Request: &csipb.CreateVolumeRequest{Name: "x", AccessibilityRequirements: zones(names...)}, Volume: next.Plans[0].Volume,
	}}
	s, rest := fill(newPacker(Installation{}), []*write{{intent: next, done: make(chan error, 1)}})
	if s == nil || len(rest) > 0 {
		t.Fatal("it is not written")
	}
	content, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range readAll(content) {
		if f.err != nil || !f.intent.Partial {
			t.Errorf("read %+v", f)
		}
	}
}

// TestBatchMayHaveAsMuchAsItsLimit: whatever is left of the limit of the batch does not cut
// the values.
func TestBatchMayHaveAsMuchAsItsLimit(t *testing.T) {
	content := map[string][]byte{}
	for n := range maxBatchText / maxText {
		content[string(uid(n))] = compressed(t, `"`+strings.Repeat("x", maxText-2)+`"`, 1)
	}
	u := newUnpacker(nil, "b")
	for key, value := range content {
		var text string
		if _, err := u.unpack(key, value, &text); err != nil || len(text) != maxText-2 {
			t.Errorf("%d bytes are read: %v", len(text), err)
		}
	}
	if _, err := u.unpack("more", compressed(t, "1", 1), new(int)); err == nil || !strings.Contains(err.Error(), "the size in bytes is 1, and may be 0 at most") {
		t.Errorf("and one more: %v", err)
	}
}
