package suite

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// mostByRecords is how much more memory, in bytes, a sidecar may take that reads hostile
// records.
const mostByRecords = 32 << 20

// TestHostileRecordsTakeLittleMemory: whoever may create ConfigMaps can fill the journal
// with what becomes very large when it is decompressed, or when it is read.
func TestHostileRecordsTakeLittleMemory(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	idle := s.namedSidecar("idle-"+s.id, "-v=2")
	s.boundToOne(s.claim("before", class))
	s.journalEmpty()
	before := s.peak(idle)
	s.must(idle.Kill())

	many := map[string][]byte{}
	for n := range 9000 {
		many[fmt.Sprint("key-", n)] = []byte("?")
	}
	hostile := map[string]map[string][]byte{
		"bomb":   {"bomb": s.inflated(" ", 800<<20), "another": s.inflated("{", 100<<20)},
		"terms":  {"topology": s.inflated("{},", 4<<20), "record": s.inflated(" ", 1)},
		"plans":  {"plans": s.inflated(`{"plans":[`+strings.Repeat("{},", 1<<20)+"{}]}", 1)},
		"places": {"places": s.inflated(`{"plans":[{"topology":{"requisite":[`+strings.Repeat("{},", 1<<20)+"{}]}}]}", 1)},
		"names":  {"names": s.inflated(`{"replaces":[`+strings.Repeat(`"",`, 1<<20)+`""]}`, 1)},
		"many":   many,
		"random": {"random": []byte(strings.Repeat("?", 900<<10))},
	}
	const copies = 5
	for name, content := range hostile {
		for n := range copies {
			s.putBatch(fmt.Sprintf("%s-%s-%d", name, s.id, n), content)
		}
	}
	next := s.namedSidecar("next-"+s.id, "-v=2")
	s.boundToOne(s.claim("after", class))
	_, metrics, err := next.Get("/metrics")
	s.must(err)
	if !strings.Contains(metrics, `csi_provisioner_journal_intents{state="unreadable"} `+strconv.Itoa(copies*(len(many)+7))+"\n") {
		t.Errorf("not all records are counted as unreadable")
	}
	if after := s.peak(next); after > before+mostByRecords {
		t.Errorf("the sidecar took %d MiB, and %d MiB with hostile records", before>>20, after>>20)
	} else {
		t.Logf("the sidecar took %d MiB, and %d MiB with hostile records", before>>20, after>>20)
	}
}

// inflated is a value that becomes that text again and again, at least size bytes of it.
func (s *scene) inflated(text string, size int) []byte {
	s.Helper()
	var buffer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	s.must(err)
	block := []byte(strings.Repeat(text, max(1, min(size, 1<<20)/len(text))))
	for written := 0; written < size; written += len(block) {
		_, err := writer.Write(block)
		s.must(err)
	}
	s.must(writer.Close())
	return buffer.Bytes()
}

// peak is the most memory that a sidecar has taken, in bytes.
func (s *scene) peak(sidecar *stage.Sidecar) int {
	s.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", sidecar.Pid()))
	s.must(err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.Atoi(fields[1])
			s.must(err)
			return kilobytes << 10
		}
	}
	s.Fatal("the kernel does not tell the peak of the sidecar's memory")
	return 0
}
