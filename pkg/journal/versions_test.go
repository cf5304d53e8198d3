package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// unsigned is a batch as the version before signatures has written it: two intents, one with
// a topology and a volume to be deleted.
func unsigned(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/unsigned/*.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no values: %v", err)
	}
	content := map[string][]byte{}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content[strings.TrimSuffix(filepath.Base(file), ".gz")] = value
	}
	return content
}

// TestUpgrade: what the version before signatures has written is understood, and is not
// signed.
func TestUpgrade(t *testing.T) {
	first := intent(1)
	first.Plans[0].Request.AccessibilityRequirements = zones("a", "b")
	first.Useless = "h-1"
	for n, f := range readAll(unsigned(t)) {
		want := []*Intent{first, intent(2)}[n]
		if diff := cmp.Diff(want, f.intent, protocmp.Transform()); f.err != nil || diff != "" {
			t.Errorf("%v is read (-want +got):\n%s", f.err, diff)
		}
		if f.origin.Signed || !f.origin.Written.IsZero() || f.generation != int64(7+n) || n == 0 && !cmp.Equal(f.replaces, []string{"older"}) {
			t.Errorf("it is read as %+v", f)
		}
	}
}

// TestDowngrade: an older version finds in a signed record what it knows: it reads the same
// JSON, and ignores both the signature and the fields that have come since.
func TestDowngrade(t *testing.T) {
	next := intent(2)
	p := newPacker(Installation{Cluster: "c-1", Driver: "d"})
	p.begin("b", time.Unix(1, 0), NewSigner(bytes.Repeat([]byte{1}, KeySize)))
	s, _ := fill(p, []*write{{intent: next, generation: 8, done: make(chan error, 1)}})
	content, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	known, now := fields(t, unsigned(t)[string(uid(2))]), fields(t, content[string(uid(2))])
	for key, value := range known {
		if diff := cmp.Diff(value, now[key]); diff != "" {
			t.Errorf("field %q has changed (-before +now):\n%s", key, diff)
		}
	}
}

func fields(t *testing.T, value []byte) map[string]any {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.NewDecoder(reader).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}
