package fault_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/fault"
)

func TestRulesMatch(t *testing.T) {
	call := fault.Subject{
		Method:        "CreateVolume",
		VolumeID:      "vol-1",
		VolumeName:    "pvc-abc",
		Parameters:    map[string]string{"tier": "gold"},
		RequiredBytes: 10,
	}
	for name, tc := range map[string]struct {
		match control.Match
		want  bool
	}{
		"everything":           {control.Match{}, true},
		"method":               {control.Match{Method: "CreateVolume"}, true},
		"another method":       {control.Match{Method: "DeleteVolume"}, false},
		"part of the name":     {control.Match{Volume: "abc"}, true},
		"the ID":               {control.Match{Volume: "vol-1"}, true},
		"another volume":       {control.Match{Volume: "xyz"}, false},
		"parameter":            {control.Match{Parameters: map[string]string{"tier": "gold"}}, true},
		"parameter's value":    {control.Match{Parameters: map[string]string{"tier": "tin"}}, false},
		"parameter not there":  {control.Match{Parameters: map[string]string{"x": ""}}, false},
		"exactly that large":   {control.Match{MinRequiredBytes: 10}, true},
		"larger than required": {control.Match{MinRequiredBytes: 11}, false},
		"not there yet":        {control.Match{Absent: true}, false},
		"all but one":          {control.Match{Method: "CreateVolume", Volume: "xyz"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rules := fault.NewRules()
			if _, err := rules.Add(control.Rule{Match: tc.match, Code: codes.Aborted}); err != nil {
				t.Fatal(err)
			}
			if got := rules.Apply(call) != nil; got != tc.want {
				t.Errorf("matches = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestRulesMatchAbsentVolumes(t *testing.T) {
	rules := fault.NewRules()
	if _, err := rules.Add(control.Rule{Match: control.Match{Absent: true}, Code: codes.ResourceExhausted}); err != nil {
		t.Fatal(err)
	}
	if rules.Apply(fault.Subject{Method: "CreateVolume", VolumeName: "pvc-abc"}) == nil {
		t.Error("the rule does not match a volume that is not there")
	}
}

func TestRulesAreUsedUpInOrder(t *testing.T) {
	rules := fault.NewRules()
	for _, rule := range []control.Rule{{ID: "a", Skip: 1, Count: 2}, {ID: "b", Count: 1}} {
		if _, err := rules.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for range 5 {
		got = append(got, rules.Apply(fault.Subject{}).Rule())
	}
	if diff := cmp.Diff([]string{"b", "a", "a", "", ""}, got); diff != "" {
		t.Errorf("rules applied (-want +got):\n%s", diff)
	}
	if status := rules.List(); status[0].Hits != 2 || status[0].Skipped != 1 || status[1].Hits != 1 {
		t.Errorf("status is %+v", status)
	}
}

func TestRulesRefuseNonsense(t *testing.T) {
	for name, rule := range map[string]control.Rule{
		"when":     {When: "later"},
		"count":    {Count: -1},
		"response": {Response: json.RawMessage(`{`)},
		"same ID":  {ID: "taken"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := fault.NewRules()
			if _, err := rules.Add(control.Rule{ID: "taken"}); err != nil {
				t.Fatal(err)
			}
			if _, err := rules.Add(rule); err == nil {
				t.Error("the rule was taken")
			}
		})
	}
}

func TestFaultHangsUntilTheRuleIsRemoved(t *testing.T) {
	rules := fault.NewRules()
	added, err := rules.Add(control.Rule{Hang: true})
	if err != nil {
		t.Fatal(err)
	}
	hung := rules.Apply(fault.Subject{})
	done := make(chan error, 1)
	go func() { done <- hung.Before(nil) }()
	select {
	case err := <-done:
		t.Fatalf("did not hang: %v", err)
	default:
	}
	if err := rules.Remove(added.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the removal: %v", err)
	}
}

func TestFaultWaitEndsWithTheDriver(t *testing.T) {
	for name, rule := range map[string]control.Rule{"hang": {Hang: true}, "delay": {Delay: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			rules := fault.NewRules()
			if _, err := rules.Add(rule); err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			close(stop)
			if err := rules.Apply(fault.Subject{}).Before(stop); status.Code(err) != codes.Unavailable {
				t.Errorf("before = %v, want Unavailable", err)
			}
		})
	}
}

func TestFaultOutcomes(t *testing.T) {
	made := &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId:           "vol-1",
		CapacityBytes:      10,
		AccessibleTopology: []*csi.Topology{{Segments: map[string]string{"zone": "a"}}},
	}}
	volume := func(change func(*csi.Volume)) *csi.CreateVolumeResponse {
		v := &csi.Volume{VolumeId: "vol-1", CapacityBytes: 10, AccessibleTopology: made.Volume.AccessibleTopology}
		change(v)
		return &csi.CreateVolumeResponse{Volume: v}
	}
	for name, tc := range map[string]struct {
		rule     control.Rule
		before   codes.Code
		after    codes.Code
		response *csi.CreateVolumeResponse
	}{
		"no effect":    {response: made},
		"error before": {rule: control.Rule{Code: codes.Aborted}, before: codes.Aborted, response: made},
		"error after":  {rule: control.Rule{Code: codes.Aborted, When: control.After}, after: codes.Aborted},
		"no volume":    {rule: control.Rule{Response: control.NoVolume()}, response: &csi.CreateVolumeResponse{}},
		"capacity": {
			rule:     control.Rule{Response: control.VolumeCapacity(-3)},
			response: volume(func(v *csi.Volume) { v.CapacityBytes = -3 }),
		},
		"capacity below": {
			rule:     control.Rule{CapacityDelta: -1},
			response: volume(func(v *csi.Volume) { v.CapacityBytes = 9 }),
		},
		"no topology": {
			rule:     control.Rule{Response: control.NoTopology()},
			response: volume(func(v *csi.Volume) { v.AccessibleTopology = nil }),
		},
		"padding": {
			rule:     control.Rule{PadBytes: 4},
			response: volume(func(v *csi.Volume) { v.VolumeContext = map[string]string{"padding": "xxxx"} }),
		},
		"not a field": {rule: control.Rule{Response: json.RawMessage(`{"x":1}`)}, after: codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			rules := fault.NewRules()
			if _, err := rules.Add(tc.rule); err != nil {
				t.Fatal(err)
			}
			f := rules.Apply(fault.Subject{})
			if got := status.Code(f.Before(nil)); got != tc.before {
				t.Errorf("before: %v, want %v", got, tc.before)
			}
			response, err := f.After(nil, made, nil)
			if got := status.Code(err); got != tc.after {
				t.Errorf("after: %v, want %v", got, tc.after)
			}
			if tc.response == nil {
				return
			}
			if diff := cmp.Diff(tc.response, response, protocmp.Transform()); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultPadsTheMessage(t *testing.T) {
	rules := fault.NewRules()
	if _, err := rules.Add(control.Rule{Code: codes.Internal, Message: "no", PadBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	err := rules.Apply(fault.Subject{}).Before(nil)
	if got := len(status.Convert(err).Message()); got != 1<<20 {
		t.Errorf("message has %d bytes, want %d", got, 1<<20)
	}
}
