package demo

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// TestEachCallIsToldOnce: also one that ends after another that came later.
func TestEachCallIsToldOnce(t *testing.T) {
	teller := teller{told: map[int64]bool{}}
	for n, look := range []struct {
		ended, running []int64
		want           []int64
		after          int64
	}{
		{ended: []int64{1}, want: []int64{1}, after: 1},
		{ended: []int64{3}, running: []int64{2}, want: []int64{3}, after: 1},
		{ended: []int64{3, 4}, running: []int64{2}, want: []int64{4}, after: 1},
		{ended: []int64{2, 3, 4}, running: []int64{5}, want: []int64{2}, after: 4},
		{running: []int64{5}, after: 4},
		{ended: []int64{5}, want: []int64{5}, after: 5},
	} {
		var calls []control.Call
		for _, seq := range look.ended {
			calls = append(calls, control.Call{Seq: seq, Finished: time.Unix(seq, 0)})
		}
		for _, seq := range look.running {
			calls = append(calls, control.Call{Seq: seq})
		}
		slices.SortFunc(calls, func(a, b control.Call) int { return int(a.Seq - b.Seq) })
		var got []int64
		for _, call := range teller.next(calls) {
			got = append(got, call.Seq)
		}
		if !slices.Equal(got, look.want) || teller.after != look.after {
			t.Errorf("look %d: tells of %v, and goes on after %d; want %v and %d", n, got, teller.after, look.want, look.after)
		}
	}
	if len(teller.told) > 0 {
		t.Errorf("it remembers %v", teller.told)
	}
}

// TestFailuresAreExplained: a code alone does not tell a user whether to worry.
func TestFailuresAreExplained(t *testing.T) {
	call := control.Call{
		Method: "DeleteVolume", VolumeID: "vol-1", Secrets: map[string]string{"password": "hidden"},
		Code: codes.FailedPrecondition, Message: "the volume is in use",
	}
	want := "DeleteVolume vol-1, with secrets of the keys password: FailedPrecondition, the volume is in use"
	if got := describe(call); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
