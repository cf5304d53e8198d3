package record_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/record"
)

func open(t *testing.T, path string) *record.Recorder {
	t.Helper()
	recorder, err := record.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Close() })
	return recorder
}

func begin(r *record.Recorder, method string) int64 {
	return r.Begin(control.Call{
		Method:  method,
		Request: json.RawMessage(`{"name":"a"}`),
		Secrets: map[string]string{"user": "admin"},
		Started: time.Unix(1, 0).UTC(),
		PID:     1,
	})
}

func TestRecorderKeepsCallsAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls")
	before := open(t, path)
	first := begin(before, "CreateVolume")
	begin(before, "DeleteVolume")
	before.Apply(first, "rule")
	before.Abandon(first)
	before.Finish(record.End{
		Seq: first, VolumeID: "vol", Response: []byte(`{}`), Finished: time.Unix(2, 0).UTC(), Code: codes.Aborted, Message: "no",
	})
	want := before.List(control.Filter{})

	after := open(t, path)
	if diff := cmp.Diff(want, after.List(control.Filter{})); diff != "" {
		t.Errorf("calls after a restart (-want +got):\n%s", diff)
	}
	if len(want) != 2 || want[0].Rule != "rule" || !want[0].Abandoned || want[0].Secrets["user"] != "admin" {
		t.Errorf("calls before the restart are %+v", want)
	}
	if seq := begin(after, "CreateVolume"); seq != 3 {
		t.Errorf("next call is number %d, want 3", seq)
	}
}

func TestRecorderCutsOffATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls")
	begin(open(t, path), "CreateVolume")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"begin":{"seq":2,"meth`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	begin(open(t, path), "DeleteVolume")
	var methods []string
	for _, call := range open(t, path).List(control.Filter{}) {
		methods = append(methods, call.Method)
	}
	if diff := cmp.Diff([]string{"CreateVolume", "DeleteVolume"}, methods); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
}

func TestRecorderClearKeepsRunningCallsAndNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls")
	recorder := open(t, path)
	done := begin(recorder, "CreateVolume")
	running := begin(recorder, "DeleteVolume")
	recorder.Finish(record.End{Seq: done, Finished: time.Unix(2, 0)})
	if err := recorder.Clear(1); err != nil {
		t.Fatal(err)
	}
	recorder.Finish(record.End{Seq: running, Finished: time.Unix(3, 0)})

	for name, r := range map[string]*record.Recorder{"in memory": recorder, "after a restart": open(t, path)} {
		calls := r.List(control.Filter{State: control.Finished})
		if len(calls) != 1 || calls[0].Seq != running {
			t.Errorf("%s: calls are %+v, want number %d alone", name, calls, running)
		}
	}
	if err := recorder.Clear(1); err != nil {
		t.Fatal(err)
	}
	if seq := begin(open(t, path), "CreateVolume"); seq != running+1 {
		t.Errorf("next call is number %d, want %d", seq, running+1)
	}
}

func TestRecorderWaits(t *testing.T) {
	recorder := open(t, filepath.Join(t.TempDir(), "calls"))
	type answer struct {
		calls []control.Call
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		calls, err := recorder.Wait(t.Context(), control.Filter{State: control.Finished}, 2)
		answers <- answer{calls, err}
	}()
	for range 2 {
		recorder.Finish(record.End{Seq: begin(recorder, "CreateVolume"), Finished: time.Unix(2, 0)})
	}
	if got := <-answers; got.err != nil || len(got.calls) != 2 {
		t.Errorf("waiting gave %d calls and %v, want 2", len(got.calls), got.err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := recorder.Wait(ctx, control.Filter{}, 3); err == nil {
		t.Error("waiting for a call that never comes ends without an error")
	}
}
