package provision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/yaml"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

var update = flag.Bool("update", false, "write what is decided into testdata instead of comparing it")

// setting is the upper part of a case: what is decided about.
type setting struct {
	Claim   *corev1.PersistentVolumeClaim
	Class   *storagev1.StorageClass
	Driver  provision.Driver
	Options provision.Options
	Nodes   []node
	// Attributes is the VolumeAttributesClass that the claim names.
	Attributes *storagev1.VolumeAttributesClass
	// Stored tells that the claim's PersistentVolume exists.
	Stored bool
	// Source is what is known of the claim's data source.
	Source provision.Source
	// Response is the driver's CreateVolumeResponse.
	Response map[string]any
}

// node is one of the cluster, and its CSINode object, if it has keys.
type node struct {
	Name   string
	Labels map[string]string
	Keys   *[]string
}

// expectation is the lower part of a case: what comes of it.
type expectation struct {
	summary
	// details are nil where nothing is to be done.
	details *details
}

type summary struct {
	Verdict    string      `json:"verdict"`
	Message    string      `json:"message,omitempty"`
	Error      string      `json:"error,omitempty"`
	Secret     string      `json:"secret,omitempty"`
	Source     string      `json:"source,omitempty"`
	Reschedule bool        `json:"reschedule,omitempty"`
	Conclusion *conclusion `json:"conclusion,omitempty"`
}

type details struct {
	Request map[string]any           `json:"request"`
	Volume  *corev1.PersistentVolume `json:"volume,omitempty"`
}

type conclusion struct {
	Error   string `json:"error"`
	Discard string `json:"discard,omitempty"`
}

const separator = "\n---\n"

func verdicts() map[provision.Verdict]string {
	return map[provision.Verdict]string{
		provision.Skip: "Skip", provision.Leave: "Leave", provision.Reject: "Reject",
		provision.Reschedule: "Reschedule", provision.Act: "Act",
		provision.Await: "Await", provision.Compete: "Compete",
	}
}

// read returns the two parts of a file in testdata.
func read(t testing.TB, path string) (upper, lower string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	upper, lower, _ = strings.Cut(string(content), separator)
	return upper, lower
}

// load reads a case. It says only in what it differs from base.yaml: objects are
// merged, lists and values replaced, null removes.
func load(t testing.TB, path string) setting {
	t.Helper()
	merged := map[string]any{}
	for _, path := range []string{filepath.Join("testdata", "base.yaml"), path} {
		upper, _ := read(t, path)
		var over map[string]any
		if err := yaml.Unmarshal([]byte(upper), &over); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		merge(merged, over)
	}
	encoded, err := json.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	var s setting
	if err := yaml.UnmarshalStrict(encoded, &s); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return s
}

func merge(into, over map[string]any) {
	for key, value := range over {
		inner, isObject := value.(map[string]any)
		old, wasObject := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isObject && wasObject:
			merge(old, inner)
		default:
			into[key] = value
		}
	}
}

// cases returns the paths of all cases by their names.
func cases(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata holds no cases: %v", err)
	}
	named := map[string]string{}
	for _, path := range paths {
		named[strings.TrimSuffix(strings.TrimPrefix(path, "testdata"+string(filepath.Separator)), ".yaml")] = path
	}
	return named
}

func (s setting) input() provision.Input {
	index := topology.NewIndex()
	for _, n := range s.Nodes {
		index.SetNode(n.Name, n.Labels)
		if n.Keys != nil {
			index.SetRegistration(n.Name, *n.Keys)
		}
	}
	in := provision.Input{
		Claim: s.Claim, Class: s.Class, Attributes: s.Attributes, VolumeStored: s.Stored, Driver: s.Driver, Options: s.Options,
		Facts:  index.Facts(provision.SelectedNode(s.Claim)),
		Source: s.Source,
	}
	s.migrate(&in)
	return in
}

// migrate does what the controller does for classes of in-tree plugins.
func (s setting) migrate(in *provision.Input) {
	inTree := kube.NewInTree(s.Driver.Name)
	in.Driver.InTreePlugin = inTree.Plugin()
	if in.Class == nil {
		return
	}
	class, err := inTree.Class(context.Background(), in.Class)
	if in.ClassErr = err; err == nil {
		in.Class = class
	}
}

// stored returns the volume as it would be stored; nil without one.
func (s setting) stored(t testing.TB, volume *corev1.PersistentVolume) *corev1.PersistentVolume {
	t.Helper()
	if volume == nil {
		return nil
	}
	stored, err := kube.NewInTree(s.Driver.Name).AsStored(volume)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func (s setting) response(t testing.TB) *csipb.CreateVolumeResponse {
	t.Helper()
	encoded, err := json.Marshal(s.Response)
	if err != nil {
		t.Fatal(err)
	}
	response := &csipb.CreateVolumeResponse{}
	if err := protojson.Unmarshal(encoded, response); err != nil {
		t.Fatal(err)
	}
	return response
}

func outcome(t testing.TB, s setting) expectation {
	t.Helper()
	decision := provision.Decide(s.input())
	got := expectation{summary: summary{Verdict: verdicts()[decision.Verdict], Message: decision.Message}}
	if decision.Err != nil {
		got.Error = decision.Err.Error()
	}
	if decision.Plan == nil {
		return got
	}
	got.Reschedule = decision.Plan.Reschedule
	if decision.Plan.Source != nil {
		got.Source = fmt.Sprintf("%s (%s)", decision.Plan.Source, decision.Plan.Source.UID)
	}
	if decision.Plan.Secret != nil {
		got.Secret = decision.Plan.Secret.String()
	}
	concluded := provision.Conclude(decision.Plan, s.response(t))
	got.details = &details{Request: generic(t, decision.Plan.Request), Volume: s.stored(t, concluded.Volume)}
	if concluded.Err != nil {
		got.Conclusion = &conclusion{Error: concluded.Err.Error(), Discard: concluded.Discard}
	}
	return got
}

// text is the expectation as YAML, with the summary above the details.
func (e expectation) text(t testing.TB) string {
	t.Helper()
	var text bytes.Buffer
	parts := []any{e.summary}
	if e.details != nil {
		parts = append(parts, e.details)
	}
	for _, part := range parts {
		encoded, err := yaml.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(encoded)
	}
	return text.String()
}

// generic returns a message as JSON values. What protojson prints is not meant to
// be compared; its values are.
func generic(t testing.TB, message proto.Message) map[string]any {
	t.Helper()
	encoded, err := protojson.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := json.Unmarshal(encoded, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// TestGolden decides about every case in testdata. Run it with -update to have
// the lower parts written, and read what has changed.
func TestGolden(t *testing.T) {
	for name, path := range cases(t) {
		t.Run(name, func(t *testing.T) {
			got := outcome(t, load(t, path)).text(t)
			upper, lower := read(t, path)
			if *update {
				if err := os.WriteFile(path, []byte(strings.TrimRight(upper, "\n")+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(lower, got); diff != "" {
				t.Errorf("decided otherwise (-want +got; -update writes it):\n%s", diff)
			}
		})
	}
}
