package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

func TestFilterSelects(t *testing.T) {
	call := control.Call{Seq: 5, Method: "CreateVolume", VolumeID: "vol-1", VolumeName: "pvc-abc", Rule: "slow"}
	finished := call
	finished.Finished = time.Unix(1, 0)
	abandoned := call
	abandoned.Abandoned = true
	for name, tc := range map[string]struct {
		filter control.Filter
		call   control.Call
		want   bool
	}{
		"all":                    {control.Filter{}, call, true},
		"method":                 {control.Filter{Method: "CreateVolume"}, call, true},
		"another method":         {control.Filter{Method: "DeleteVolume"}, call, false},
		"part of the name":       {control.Filter{Volume: "abc"}, call, true},
		"the ID":                 {control.Filter{Volume: "vol-1"}, call, true},
		"another volume":         {control.Filter{Volume: "vol-2"}, call, false},
		"rule":                   {control.Filter{Rule: "slow"}, call, true},
		"another rule":           {control.Filter{Rule: "fast"}, call, false},
		"after an earlier call":  {control.Filter{After: 4}, call, true},
		"after the call":         {control.Filter{After: 5}, call, false},
		"running":                {control.Filter{State: control.Running}, call, true},
		"running, but finished":  {control.Filter{State: control.Running}, finished, false},
		"finished":               {control.Filter{State: control.Finished}, finished, true},
		"finished, but running":  {control.Filter{State: control.Finished}, call, false},
		"abandoned":              {control.Filter{State: control.Abandoned}, abandoned, true},
		"abandoned, but awaited": {control.Filter{State: control.Abandoned}, call, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.filter.Matches(tc.call); got != tc.want {
				t.Errorf("matches = %v, want %v", got, tc.want)
			}
			again, err := control.ParseFilter(tc.filter.Query())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.filter, again); diff != "" {
				t.Errorf("filter after its query (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallPrintsNoSecret(t *testing.T) {
	call := control.Call{Method: "NodeExpandVolume", Secrets: map[string]string{"password": "t0p-Secret"}}
	text := fmt.Sprintf("%v %+v %s", call, call, call)
	if strings.Contains(text, "t0p") || !strings.Contains(text, "password") {
		t.Errorf("call prints as %s: want the key and not the value", text)
	}
}
