package journal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// fillAll makes batches of the intents, and returns what each is read as.
func fillAll(t *testing.T, intents ...*Intent) (batches []map[string][]byte, read []*Intent) {
	t.Helper()
	var rest []*write
	for n, intent := range intents {
		rest = append(rest, &write{intent: intent, generation: int64(n), done: make(chan error, 1)})
	}
	for len(rest) > 0 {
		var s *batch
		if s, rest = fill(newPacker(Installation{}), rest); s == nil {
			break
		}
		content, err := s.finish()
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, value := range content {
			size += len(value)
		}
		if size > maxBatch {
			t.Errorf("a batch has %d bytes", size)
		}
		batches = append(batches, content)
		read = append(read, decodeAll(t, content, s.writes)...)
	}
	return batches, read
}

// decodeAll returns the intents in the order of the writes.
func decodeAll(t *testing.T, content map[string][]byte, writes []*write) []*Intent {
	t.Helper()
	byUID := map[string]*Intent{}
	for _, f := range readAll(content) {
		if f.err != nil {
			t.Fatal(f.err)
		}
		byUID[string(f.uid)] = f.intent
	}
	var all []*Intent
	for _, w := range writes {
		all = append(all, byUID[string(w.intent.Claim.UID)])
	}
	return all
}

// sameIntents compares requests as messages, which is fast, and all else by a
// difference that can be read.
func sameIntents(t *testing.T, want, got []*Intent) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("there are %d intents, want %d", len(got), len(want))
	}
	for n := range want {
		if diff := cmp.Diff(want[n], got[n], cmpopts.IgnoreFields(provision.Plan{}, "Request")); diff != "" {
			t.Errorf("intent %d (-want +got):\n%s", n, diff)
		}
		for m, plan := range want[n].Plans {
			if !proto.Equal(plan.Request, got[n].Plans[m].Request) {
				t.Errorf("plan %d of intent %d has another request", m, n)
			}
		}
	}
}

// nodes is a requirement of n places that nobody else has, as drivers with a
// topology of nodes have it, with the preferred list rotated.
func nodes(n int, prefix string) *csipb.TopologyRequirement {
	var terms []*csipb.Topology
	for i := range n {
		terms = append(terms, &csipb.Topology{Segments: map[string]string{"topology.driver.example/node": fmt.Sprintf("%s-%d.example", prefix, i)}})
	}
	return &csipb.TopologyRequirement{Requisite: terms, Preferred: append(terms[n/3:n:n], terms[:n/3]...)}
}

func TestTopologyIsStoredOnce(t *testing.T) {
	shared := nodes(5000, "node")
	var all []*Intent
	for n := range 30 {
		next := intent(n)
		next.Plans[0].Request.AccessibilityRequirements = shared
		all = append(all, next)
	}
	batches, got := fillAll(t, all...)
	sameIntents(t, all, got)
	if len(batches) != 1 {
		t.Fatalf("there are %d batches", len(batches))
	}
	terms := len(batches[0][termsKey])
	for key, value := range batches[0] {
		t.Logf("%s: %d bytes", key, len(value))
		if key != termsKey && len(value) > 1000 {
			t.Errorf("intent %s takes %d bytes beside %d of topology", key, len(value), terms)
		}
	}
}

// Equal terms are one, whoever has made them.
func TestEqualTermsAreOne(t *testing.T) {
	one, other := intent(1), intent(2)
	one.Plans[0].Request.AccessibilityRequirements = zones("a", "b", "c", "d")
	other.Plans[0].Request.AccessibilityRequirements = zones("d", "b")
	s, _ := fill(newPacker(Installation{}), []*write{{intent: one}, {intent: other}})
	if n := len(s.terms.terms); n != 4 {
		t.Errorf("there are %d terms, want 4", n)
	}
	_, got := fillAll(t, one, other)
	sameIntents(t, []*Intent{one, other}, got)
}

// noisyNodes are places whose names do not get smaller when compressed.
func noisyNodes(n int) *csipb.TopologyRequirement {
	random := rand.New(rand.NewPCG(1, 2))
	requirement := nodes(n, "node")
	for _, term := range requirement.GetRequisite() {
		term.Segments["id"] = fmt.Sprintf("%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64())
	}
	return requirement
}

// noise does not get smaller when compressed.
func noise(n int) string {
	var b strings.Builder
	state := uint64(n) + 1
	for b.Len() < n {
		state = state*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(&b, "%x", state>>16)
	}
	return b.String()[:n]
}

func TestFullBatchIsFollowedByAnother(t *testing.T) {
	var all []*Intent
	for n := range 12 {
		next := intent(n)
		next.Plans[0].Request.Parameters = map[string]string{"noise": noise(200_000 + n)}
		next.Plans[0].Request.AccessibilityRequirements = nodes(1000, fmt.Sprint("node", n))
		all = append(all, next)
	}
	batches, got := fillAll(t, all...)
	if len(batches) < 2 {
		t.Errorf("there are %d batches", len(batches))
	}
	sameIntents(t, all, got)
}

func TestRequestThatCanNotFitIsRecordedWithoutTopology(t *testing.T) {
	small, huge, last := intent(1), intent(2), intent(3)
	small.Plans[0].Request.AccessibilityRequirements = zones("a", "b")
	huge.Plans[0].Request.AccessibilityRequirements = noisyNodes(40_000)
	last.Plans[0].Request.AccessibilityRequirements = zones("a", "b")
	_, got := fillAll(t, small, huge, last)
	want := *huge
	want.Partial = true
	bare := *huge.Plans[0]
	bare.Request = provision.WithoutTopology(bare.Request)
	want.Plans = append(want.Plans[:0:0], &bare)
	sameIntents(t, []*Intent{small, &want, last}, got)
}

func TestWhatCanNotBeRecordedGetsAnError(t *testing.T) {
	secret, good, huge := intent(1), intent(2), intent(3)
	secret.Plans[0].Request.Secrets = map[string]string{"password": "t0p-Secret"}
	huge.Plans[0].Request.Parameters = map[string]string{"noise": noise(3 << 20)}
	var writes []*write
	for _, next := range []*Intent{secret, good, huge} {
		writes = append(writes, &write{intent: next, done: make(chan error, 1)})
	}
	s, rest := fill(newPacker(Installation{}), writes)
	if len(s.writes) != 1 || s.writes[0].intent != good {
		t.Errorf("recorded are %v", s.writes)
	}
	if s, rest = fill(newPacker(Installation{}), rest); s != nil || len(rest) > 0 {
		t.Errorf("recorded is %v, left are %v", s, rest)
	}
	for n, want := range map[int]string{0: "claim ns/claim-1 (uid-0001): the request holds secrets", 2: "has no room"} {
		if err := <-writes[n].done; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "t0p") {
			t.Errorf("write %d: %v, want %q", n, err, want)
		}
	}
}

func TestWrongTopologyIsAnError(t *testing.T) {
	terms := zones("a", "b").GetRequisite()
	for _, wrong := range []run{{-1, 1}, {0, 3}, {2, 1}, {1 << 62, 1 << 62}, {0, -1}} {
		if got, err := resolve([]run{wrong}, terms); err == nil {
			t.Errorf("%v is %v", wrong, got)
		}
	}
}

// Nobody but this program writes batches, but anybody may be able to.
func FuzzRead(f *testing.F) {
	content, _ := func() (map[string][]byte, error) {
		next := intent(1)
		next.Plans[0].Request.AccessibilityRequirements = zones("a", "b")
		s, _ := fill(newPacker(Installation{}), []*write{{intent: next}})
		return s.finish()
	}()
	f.Add(content["uid-0001"], content[termsKey])
	old := unsigned(f)
	f.Add(old["uid-0001"], old[termsKey])
	for _, text := range []string{
		`{`, `[]`, `{"version":2}`, `{"claim":{"uid":"uid"},"plans":[{}]}`, `{"claim":{"uid":"uid"},"plans":[{"request":{"name":"x"},"volume":{}}]}`,
		`{"claim":{"uid":"uid"},"plans":[{"request":{"name":"x"},"volume":{},"topology":{"requisite":[{"Start":-1,"Count":9223372036854775807}]}}]}`,
		`{"plans":[` + strings.Repeat("{},", 200) + `{}]}`, strings.Repeat(" ", 1<<16),
	} {
		f.Add(compressed(f, text, 1), compressed(f, `[{"zone":"a"},{}]`, 1))
		f.Add(content["uid-0001"], compressed(f, text, 1))
	}
	f.Fuzz(func(t *testing.T, value, terms []byte) {
		for _, found := range readAll(map[string][]byte{"uid": value, termsKey: terms}) {
			if found.err != nil {
				continue
			}
			if _, err := encode(found.intent, 1, newTable(newPacker(Installation{}))); err != nil && !strings.Contains(err.Error(), "secrets") {
				t.Errorf("what was read can't be written: %v", err)
			}
		}
	})
}
