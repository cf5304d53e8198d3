package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// scriptFile is the script in a scenario's folder; the other files are manifests.
const scriptFile = "scenario.yaml"

// The programs of the peers, each of which has its part of this project's.
const (
	Provisioner = "provisioner"
	Resizer     = "resizer"
)

// A Scenario is a folder: manifests, and the script scenario.yaml.
type Scenario struct {
	// Name is the folder's.
	Name string `json:"-"`
	// Summary says in a sentence what the scenario shows.
	Summary string `json:"summary"`
	// Core scenarios are played by the tests, all others by make compare only.
	Core bool `json:"core,omitempty"`
	// Each makes the folder a scenario for each of its keys: FOLDER/KEY, in which
	// $(EACH) stands for the key's value, in all files.
	Each map[string]string `json:"each,omitempty"`
	// Controllers are what runs: Provisioner, Resizer, or both (Provisioner).
	Controllers []string `json:"controllers,omitempty"`
	// Driver are flags of the test driver (see cmd/driver).
	Driver []string `json:"driver,omitempty"`
	// Flags are those of external-provisioner, ResizerFlags of external-resizer.
	// This project's program gets both.
	Flags        []string `json:"flags,omitempty"`
	ResizerFlags []string `json:"resizerFlags,omitempty"`
	// OwnFlags are only this project's: to get the old behaviour of a row.
	OwnFlags []string `json:"ownFlags,omitempty"`
	// Env are variables of the environment, as NAME=VALUE.
	Env []string `json:"env,omitempty"`
	// EventCounts has the counts of events compared, too: for scenarios in which
	// they do not depend on time.
	EventCounts bool `json:"eventCounts,omitempty"`
	// Quiet is how long nothing must change until all has happened (2s).
	Quiet Duration `json:"quiet,omitempty"`
	// Steps are what is done. When they are done and all is quiet, the result is
	// recorded as "end".
	Steps []Step `json:"steps"`
	// Differences are those that are expected, and no others.
	Differences []Expected `json:"differences,omitempty"`

	manifests map[string]string
}

// A Step does one thing. Exactly one of the fields is set.
type Step struct {
	// Apply names a manifest of the folder.
	Apply string `json:"apply,omitempty"`
	// Delete names an object (see Ref).
	Delete Ref `json:"delete,omitempty"`
	// Patch changes an object.
	Patch *Patch `json:"patch,omitempty"`
	// Rule is for the driver; it has an ID if it is to be removed.
	Rule *control.Rule `json:"rule,omitempty"`
	// Unrule removes a rule by its ID.
	Unrule string `json:"unrule,omitempty"`
	// Wait waits for a condition.
	Wait *Wait `json:"wait,omitempty"`
	// Record waits until all is quiet, and records what there is by this name.
	Record string `json:"record,omitempty"`
	// Snapshot takes a snapshot of a volume.
	Snapshot *Snapshot `json:"snapshot,omitempty"`
	// Restart kills the programs and starts them again.
	Restart bool `json:"restart,omitempty"`
}

// A Ref names an object: "Kind name" in the scenario's namespace or in none,
// "claim name" for a claim, "volume name" for the PersistentVolume of the claim of
// that name, which may be gone already.
type Ref string

// A Patch is a JSON merge patch for an object, or for its subresource.
type Patch struct {
	Object      Ref             `json:"object"`
	Subresource string          `json:"subresource,omitempty"`
	With        json.RawMessage `json:"with"`
}

// A Wait is a condition, and how long to wait for it (30s). Waiting in vain is not
// an error: it is a part of what is compared. If both sides wait in vain, the
// scenario is wrong.
type Wait struct {
	// Bound is the name of a claim that is to be bound.
	Bound string `json:"bound,omitempty"`
	// Gone is an object that is to be gone.
	Gone Ref `json:"gone,omitempty"`
	// Field is a field that is to have a value.
	Field *Field `json:"field,omitempty"`
	// Event is one that there is to be.
	Event *EventWait `json:"event,omitempty"`
	// Calls are those that are to have reached the driver, and ended.
	Calls *CallsWait `json:"calls,omitempty"`
	// Within is how long to wait.
	Within Duration `json:"within,omitempty"`
}

// A Field is one of an object; the path is a list, as keys have dots in them.
type Field struct {
	Object Ref      `json:"object"`
	Path   []string `json:"path"`
	// Is is the value, as YAML; null waits until there is none.
	Is any `json:"is"`
}

// An EventWait selects events.
type EventWait struct {
	Object Ref    `json:"object"`
	Reason string `json:"reason"`
	// Times is how often it is to have been reported (1).
	Times int32 `json:"times,omitempty"`
}

// A CallsWait selects calls.
type CallsWait struct {
	Method string `json:"method"`
	// Running selects calls that have not ended.
	Running bool `json:"running,omitempty"`
	// Times is how many there are to be (1).
	Times int `json:"times,omitempty"`
}

// Duration is written as "2s".
type Duration time.Duration

// UnmarshalJSON reads a duration.
func (d *Duration) UnmarshalJSON(content []byte) error {
	var text string
	if err := json.Unmarshal(content, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// or is the duration, or what it is by default.
func (d Duration) or(standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return time.Duration(d)
}

// Load reads all scenarios of a directory, by their names.
func Load(dir fs.FS) ([]*Scenario, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("reading scenarios: %w", err)
	}
	var all []*Scenario
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		scenarios, err := load(dir, entry.Name())
		if err != nil {
			errs = append(errs, fmt.Errorf("scenario %s: %w", entry.Name(), err))
			continue
		}
		all = append(all, scenarios...)
	}
	return all, errors.Join(errs...)
}

// load reads the scenarios of a folder.
func load(dir fs.FS, folder string) ([]*Scenario, error) {
	files := map[string]string{}
	entries, err := fs.ReadDir(dir, folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(dir, path.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		files[entry.Name()] = string(content)
	}
	var several struct {
		Each map[string]string `json:"each"`
	}
	if err := yaml.Unmarshal([]byte(files[scriptFile]), &several); err != nil {
		return nil, err
	}
	if len(several.Each) == 0 {
		one, err := parse(folder, files)
		return []*Scenario{one}, err
	}
	var all []*Scenario
	for _, key := range slices.Sorted(maps.Keys(several.Each)) {
		changed := map[string]string{}
		for name, content := range files {
			changed[name] = strings.ReplaceAll(content, "$(EACH)", several.Each[key])
		}
		one, err := parse(folder+"/"+key, changed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		one.Differences = slices.DeleteFunc(one.Differences, func(e Expected) bool { return len(e.For) > 0 && !slices.Contains(e.For, key) })
		all = append(all, one)
	}
	return all, nil
}

// parse reads one scenario from its files.
func parse(name string, files map[string]string) (*Scenario, error) {
	s := &Scenario{Name: name, manifests: maps.Clone(files)}
	delete(s.manifests, scriptFile)
	if err := yaml.UnmarshalStrict([]byte(files[scriptFile]), s); err != nil {
		return nil, err
	}
	if len(s.Controllers) == 0 {
		s.Controllers = []string{Provisioner}
	}
	return s, s.validate()
}

func (s *Scenario) validate() error {
	if s.Summary == "" || len(s.Steps) == 0 {
		return fmt.Errorf("there must be a %s with a summary and steps", scriptFile)
	}
	for _, controller := range s.Controllers {
		if controller != Provisioner && controller != Resizer {
			return fmt.Errorf("controller %q: use %s or %s", controller, Provisioner, Resizer)
		}
	}
	for _, expected := range s.Differences {
		for _, key := range expected.For {
			if _, ok := s.Each[key]; !ok {
				return fmt.Errorf("the difference at %s is for %q, which is not among each", expected.At, key)
			}
		}
	}
	used := map[string]bool{}
	for n, step := range s.Steps {
		if err := step.validate(); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
		if _, ok := s.manifests[step.Apply]; step.Apply != "" && !ok {
			return fmt.Errorf("step %d: there is no file %q", n+1, step.Apply)
		}
		used[step.Apply] = true
	}
	for name := range s.manifests {
		if !used[name] {
			return fmt.Errorf("no step applies the file %q", name)
		}
	}
	return nil
}

func (s Step) validate() error {
	verbs := 0
	for _, set := range []bool{s.Apply != "", s.Delete != "", s.Patch != nil, s.Rule != nil, s.Unrule != "", s.Wait != nil, s.Record != "", s.Snapshot != nil, s.Restart} {
		if set {
			verbs++
		}
	}
	if verbs != 1 {
		return fmt.Errorf("it must do one thing, not %d", verbs)
	}
	if s.Wait == nil {
		return nil
	}
	conditions := 0
	for _, set := range []bool{s.Wait.Bound != "", s.Wait.Gone != "", s.Wait.Field != nil, s.Wait.Event != nil, s.Wait.Calls != nil} {
		if set {
			conditions++
		}
	}
	if conditions != 1 {
		return fmt.Errorf("it must wait for one thing, not %d", conditions)
	}
	return nil
}

// split returns the kind and the name.
func (r Ref) split() (kind, name string) {
	kind, name, _ = strings.Cut(string(r), " ")
	return kind, name
}
