package provision_test

import (
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const reserved = "csi.storage.k8s.io/"

// everyKnown returns all parameters that are for the sidecar, with values that can
// be used.
func everyKnown() map[string]string {
	parameters := map[string]string{reserved + "fstype": "xfs"}
	for _, key := range secrets.Parameters() {
		parameters[key] = "a"
	}
	return parameters
}

// TestWhichParametersReachTheDriver: all but those for the sidecar.
func TestWhichParametersReachTheDriver(t *testing.T) {
	if n := len(everyKnown()); n != 17 {
		t.Errorf("%d parameters are for the sidecar, want 17", n)
	}
	mixed := everyKnown()
	mixed["tier"] = "gold"
	aliases := map[string]string{
		"csiProvisionerSecretName": "a", "csiProvisionerSecretNamespace": "b", "csiNodeStageSecretName": "a", "csiNodeStageSecretNamespace": "b",
		"csiNodePublishSecretName": "a", "csiNodePublishSecretNamespace": "b",
		"csiControllerPublishSecretName": "a", "csiControllerPublishSecretNamespace": "b",
	}
	for name, test := range map[string]struct {
		parameters, want map[string]string
		refused          string
	}{
		"none":                    {nil, nil, ""},
		"the driver's":            {map[string]string{"tier": "gold"}, map[string]string{"tier": "gold"}, ""},
		"empty value":             {map[string]string{"tier": ""}, map[string]string{"tier": ""}, ""},
		"empty key":               {map[string]string{"": "x"}, map[string]string{"": "x"}, ""},
		"every known":             {everyKnown(), nil, ""},
		"beside the driver's":     {mixed, map[string]string{"tier": "gold"}, ""},
		"prefix in a value":       {map[string]string{"tier": reserved + "gold"}, map[string]string{"tier": reserved + "gold"}, ""},
		"prefix inside of a key":  {map[string]string{"x" + reserved + "y": "z"}, map[string]string{"x" + reserved + "y": "z"}, ""},
		"prefix in other letters": {map[string]string{"CSI.storage.k8s.io/x": "z"}, map[string]string{"CSI.storage.k8s.io/x": "z"}, ""},
		"aliases are passed on":   {aliases, aliases, ""},
		"and so is plain fstype":  {map[string]string{"fsType": "xfs"}, map[string]string{"fsType": "xfs"}, ""},
		"unknown":                 {map[string]string{reserved + "tier": "gold"}, nil, `unknown parameter "` + reserved + `tier"`},
		"the prefix alone":        {map[string]string{reserved: "gold"}, nil, `unknown parameter "` + reserved + `"`},
		"known in other letters":  {map[string]string{reserved + "FSType": "xfs"}, nil, `unknown parameter "` + reserved + `FSType" (did you mean "` + reserved + `fstype"?)`},
		"metadata by hand":        {map[string]string{reserved + "pvc/name": "x"}, nil, "unknown parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			in := wanting()
			in.Class.Parameters = test.parameters
			decision := provision.Decide(in)
			if test.refused != "" {
				if decision.Verdict != provision.Reject || !strings.Contains(decision.Err.Error(), test.refused) {
					t.Errorf("decided %s, %v; want the error %q", verdicts()[decision.Verdict], decision.Err, test.refused)
				}
				return
			}
			if decision.Plan == nil {
				t.Fatalf("no plan: %v", decision.Err)
			}
			got := decision.Plan.Request.GetParameters()
			if len(got) == 0 && len(test.want) == 0 {
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the driver's parameters (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSizesAreWrittenInBinary, from 1024 bytes on, as external-provisioner writes them.
func TestSizesAreWrittenInBinary(t *testing.T) {
	for bytes, want := range map[int64]string{
		1: "1", 1000: "1k", 1001: "1001", 1024: "1Ki", 1 << 30: "1Gi", 1<<30 + 1: "1073741825", 1000 << 30: "1000Gi", 5_000_000_000: "5000000000",
		1<<63 - 1: "9223372036854775807",
	} {
		plan := planned(t, false)
		plan.Request.CapacityRange.RequiredBytes = 1
		got := provision.Conclude(plan, answer(&csipb.Volume{VolumeId: "v", CapacityBytes: bytes}))
		if got.Err != nil {
			t.Fatal(got.Err)
		}
		if size := got.Volume.Spec.Capacity.Storage().String(); size != want {
			t.Errorf("%d bytes are written as %s, want %s", bytes, size, want)
		}
	}
}
