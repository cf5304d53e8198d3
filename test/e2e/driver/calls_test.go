package driver_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

func TestCallsAreRecordedWithTheirSecrets(t *testing.T) {
	r := start(t, driver.Options{})
	request := createRequest("one")
	request.Secrets = map[string]string{"username": "admin", "password": "t0p-Secret"}
	id := r.create(t, request)
	request.CapacityRange.RequiredBytes *= 2
	_, err := r.CreateVolume(t.Context(), request)
	wantCode(t, "creating a larger one", err, codes.AlreadyExists)
	before := r.waitFor(t, control.Filter{Method: "CreateVolume", State: control.Finished}, 2)

	r.restart(t)
	calls := r.waitFor(t, control.Filter{}, 2)
	if diff := cmp.Diff(before, calls); diff != "" {
		t.Errorf("calls after a restart (-before +after):\n%s", diff)
	}
	first := calls[0]
	if first.VolumeID != id || first.VolumeName != "one" || first.Code != codes.OK {
		t.Errorf("first call is %+v", first)
	}
	if diff := cmp.Diff(request.Secrets, first.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if strings.Contains(string(first.Request), "t0p-Secret") {
		t.Error("the request holds the secret too")
	}
	got, want := &csi.CreateVolumeRequest{}, createRequest("one")
	if err := first.DecodeRequest(got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if second := calls[1]; second.Code != codes.AlreadyExists || second.Response != nil || second.Message == "" {
		t.Errorf("second call is %+v", second)
	}
}

func TestSecretsStayOutOfLogAndState(t *testing.T) {
	r := start(t, driver.Options{ExpandCredentials: map[string]string{"password": "acc0unt-Secret"}})
	request := createRequest("one")
	request.Parameters = map[string]string{"encrypted": "true"}
	request.Secrets = map[string]string{"password": "t0p-Secret"}
	id := r.create(t, request)
	r.create(t, createRequest("two"))
	_, err := r.NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{
		VolumeId:          id,
		StagingTargetPath: filepath.Join(t.TempDir(), "staging"),
		VolumeCapability:  mountCapability(),
		Secrets:           map[string]string{"password": "wr0ng-Secret"},
	})
	wantCode(t, "staging with a wrong password", err, codes.PermissionDenied)

	text := r.log.String() + err.Error()
	states, globErr := filepath.Glob(filepath.Join(r.options.StateDir, "volumes", "*.json"))
	if globErr != nil || len(states) != 2 {
		t.Fatalf("there are %d states, want 2: %v", len(states), globErr)
	}
	for _, path := range states {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text += string(content)
	}
	if strings.Contains(text, "-Secret") {
		t.Errorf("a secret is in:\n%s", text)
	}
	if !strings.Contains(text, "PermissionDenied") {
		t.Errorf("the log does not tell of the call that failed:\n%s", text)
	}
}

func TestRulesFailCallsBeforeAndAfterTheWork(t *testing.T) {
	for _, when := range []control.When{control.Before, control.After} {
		t.Run(string(when), func(t *testing.T) {
			r := start(t, driver.Options{})
			r.rule(t, control.Rule{
				Match: control.Match{Method: "CreateVolume", Volume: "one"},
				Count: 1, When: when, Code: codes.ResourceExhausted, Message: "full",
			})
			_, err := r.CreateVolume(t.Context(), createRequest("one"))
			wantCode(t, "creating", err, codes.ResourceExhausted)
			if message := status.Convert(err).Message(); message != "full" {
				t.Errorf("message is %q, want full", message)
			}
			volumes, err := r.control.Volumes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if made := len(volumes) == 1; made != (when == control.After) {
				t.Errorf("a volume was made: %t", made)
			}
			r.create(t, createRequest("one"))
		})
	}
}

func TestRulesFindVolumesByName(t *testing.T) {
	r := start(t, driver.Options{})
	id := r.create(t, createRequest("pvc-one"))
	r.rule(t, control.Rule{Match: control.Match{Method: "DeleteVolume", Volume: "pvc-one"}, Code: codes.Internal})
	_, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, "deleting", err, codes.Internal)
	if err := r.control.RemoveRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, "deleting after the rule", err, codes.OK)
}

func TestCallGoesOnWhenItsClientHasGone(t *testing.T) {
	for _, when := range []control.When{control.Before, control.After} {
		t.Run(string(when), func(t *testing.T) {
			r := start(t, driver.Options{})
			rule := r.rule(t, control.Rule{Match: control.Match{Method: "CreateVolume"}, When: when, Hang: true, Count: 1})
			ctx, leave := context.WithCancel(t.Context())
			answers := make(chan error, 1)
			go func() {
				_, err := r.CreateVolume(ctx, createRequest("one"))
				answers <- err
			}()
			r.waitFor(t, control.Filter{Rule: rule, State: control.Running}, 1)
			_, err := r.CreateVolume(t.Context(), createRequest("one"))
			wantCode(t, "creating it at the same time", err, codes.Aborted)
			leave()
			wantCode(t, "leaving", <-answers, codes.Canceled)
			r.waitFor(t, control.Filter{Rule: rule, State: control.Abandoned}, 1)

			if err := r.control.RemoveRule(t.Context(), rule); err != nil {
				t.Fatal(err)
			}
			calls := r.waitFor(t, control.Filter{Rule: rule, State: control.Finished}, 1)
			if calls[0].Code != codes.OK || !calls[0].Abandoned || calls[0].VolumeID == "" {
				t.Errorf("the call ended as %+v, want OK and abandoned", calls[0])
			}
			if id := r.create(t, createRequest("one")); id != calls[0].VolumeID {
				t.Errorf("created again as %q, want %q", id, calls[0].VolumeID)
			}
		})
	}
}

func TestCallsWaitForTheirTurnIfAsked(t *testing.T) {
	r := start(t, driver.Options{InFlight: driver.Wait})
	rule := r.rule(t, control.Rule{Match: control.Match{Method: "CreateVolume"}, Hang: true, Count: 1})
	ids := make(chan string, 2)
	for range 2 {
		go func() {
			response, err := r.CreateVolume(t.Context(), createRequest("one"))
			if err != nil {
				t.Error(err)
			}
			ids <- response.GetVolume().GetVolumeId()
		}()
	}
	r.waitFor(t, control.Filter{State: control.Running}, 2)
	if err := r.control.RemoveRule(t.Context(), rule); err != nil {
		t.Fatal(err)
	}
	if one, two := <-ids, <-ids; one != two || one == "" {
		t.Errorf("volumes are %q and %q, want one", one, two)
	}
}

func TestStopEndsHangingCalls(t *testing.T) {
	r := start(t, driver.Options{})
	rule := r.rule(t, control.Rule{Hang: true})
	answers := make(chan error, 1)
	go func() {
		_, err := r.CreateVolume(t.Context(), createRequest("one"))
		answers <- err
	}()
	r.waitFor(t, control.Filter{Rule: rule, State: control.Running}, 1)
	r.stop(t)
	if err := <-answers; err == nil {
		t.Error("the call succeeded")
	}
	r.start(t)
	volumes, err := r.control.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(volumes) > 0 {
		t.Errorf("the call made %v after the stop", volumes)
	}
}

func TestDelayIsToldByTheRecord(t *testing.T) {
	r := start(t, driver.Options{})
	const delay = 30 * time.Millisecond
	r.rule(t, control.Rule{Match: control.Match{Method: "CreateVolume"}, Delay: delay})
	r.create(t, createRequest("one"))
	call := r.waitFor(t, control.Filter{Method: "CreateVolume"}, 1)[0]
	if took := call.Finished.Sub(call.Started); took < delay {
		t.Errorf("the call took %v, want %v at least", took, delay)
	}
}

func TestHostileResponses(t *testing.T) {
	r := start(t, driver.Options{})
	r.rule(t, control.Rule{Match: control.Match{Volume: "none"}, Response: control.NoVolume()})
	r.rule(t, control.Rule{Match: control.Match{Volume: "small"}, CapacityDelta: -1})
	r.rule(t, control.Rule{Match: control.Match{Volume: "huge"}, PadBytes: 5 << 20})
	r.rule(t, control.Rule{Match: control.Match{Volume: "wordy"}, PadBytes: 5 << 20, Code: codes.Internal})

	none, err := r.CreateVolume(t.Context(), createRequest("none"))
	if err != nil || none.GetVolume() != nil {
		t.Errorf("response is %v, %v: want one without a volume", none, err)
	}
	small, err := r.CreateVolume(t.Context(), createRequest("small"))
	if err != nil || small.GetVolume().GetCapacityBytes() != gib-1 {
		t.Errorf("response is %v, %v: want a byte less", small, err)
	}
	_, err = r.CreateVolume(t.Context(), createRequest("huge"))
	wantCode(t, "receiving 5 MiB", err, codes.ResourceExhausted)
	huge, err := r.CreateVolume(t.Context(), createRequest("huge"), grpc.MaxCallRecvMsgSize(8<<20))
	if err != nil || len(huge.GetVolume().GetVolumeContext()["padding"]) != 5<<20 {
		t.Errorf("5 MiB did not arrive: %v", err)
	}
	_, err = r.CreateVolume(t.Context(), createRequest("wordy"))
	wantCode(t, "receiving a message of 5 MiB", err, codes.Internal)
	for _, call := range r.waitFor(t, control.Filter{}, 5) {
		if len(call.Response)+len(call.Message) > 128<<10 {
			t.Errorf("call %d is recorded with %d bytes", call.Seq, len(call.Response)+len(call.Message))
		}
	}
}

func TestClearCallsKeepsTheNumbers(t *testing.T) {
	r := start(t, driver.Options{})
	r.create(t, createRequest("one"))
	if err := r.control.ClearCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.restart(t)
	r.create(t, createRequest("two"))
	calls, err := r.control.Calls(t.Context(), control.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 1 || calls[0].Seq != 2 {
		t.Errorf("calls are %+v, want number 2 alone", calls)
	}
}

func TestControlRefusesWhatItDoesNotKnow(t *testing.T) {
	r := start(t, driver.Options{})
	if err := r.control.RemoveRule(t.Context(), "nothing"); err == nil {
		t.Error("removed a rule that is not there")
	}
	if _, err := r.control.AddRule(t.Context(), control.Rule{Response: json.RawMessage(`"`)}); err == nil {
		t.Error("added a rule that is not JSON")
	}
	if _, err := r.control.Calls(t.Context(), control.Filter{State: "done"}); err == nil {
		t.Error("listed calls by a state that is not one")
	}
	info, err := r.control.WaitReady(t.Context())
	want := control.Info{Name: driver.DefaultName, NodeID: driver.DefaultNodeID, Backend: "directory", PID: os.Getpid()}
	if err != nil || info != want {
		t.Errorf("info is %+v, %v: want %+v", info, err, want)
	}
}

// TestAbsentIsDecidedInTurn: a call that waited for the one that made its volume is
// not for a volume that is not there.
func TestAbsentIsDecidedInTurn(t *testing.T) {
	r := start(t, driver.Options{InFlight: driver.Wait})
	for _, rule := range []control.Rule{
		{ID: "first", Count: 1, Hang: true},
		{ID: "absent", Match: control.Match{Method: "CreateVolume", Absent: true}, Code: codes.ResourceExhausted},
	} {
		if _, err := r.control.AddRule(t.Context(), rule); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := r.CreateVolume(t.Context(), createRequest("one"))
			ended <- err
		}()
	}
	r.waitFor(t, control.Filter{Rule: "first", State: control.Running}, 1)
	r.waitFor(t, control.Filter{Method: "CreateVolume", State: control.Running}, 2)
	if err := r.control.RemoveRule(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("creating it: %v", err)
		}
	}
}

// TestCreateVolumeHasItsOwnParameters: a rule for the parameters of a request does not
// match a later request with others, although the volume has these.
func TestCreateVolumeHasItsOwnParameters(t *testing.T) {
	r := start(t, driver.Options{})
	request := createRequest("one")
	request.Parameters = map[string]string{"colour": "red"}
	r.create(t, request)
	r.rule(t, control.Rule{
		Match: control.Match{Method: "CreateVolume", Parameters: map[string]string{"colour": "red"}}, Code: codes.Internal,
	})
	request.Parameters = map[string]string{"colour": "blue"}
	if _, err := r.CreateVolume(t.Context(), request); status.Code(err) != codes.AlreadyExists {
		t.Errorf("blue: %v, want that there is another one", err)
	}
	request.Parameters = map[string]string{"colour": "red"}
	if _, err := r.CreateVolume(t.Context(), request); status.Code(err) != codes.Internal {
		t.Errorf("red: %v", err)
	}
}
