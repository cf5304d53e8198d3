package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// within is how long a step waits unless it says otherwise.
const within = 30 * time.Second

// What came of a step that waits.
const (
	happened = "happened"
	inVain   = "did not happen"
)

// do does one step.
func (s *side) do(ctx context.Context, number int, step Step) error {
	switch {
	case step.Apply != "":
		return s.apply(ctx, step.Apply)
	case step.Delete != "":
		return s.delete(ctx, step.Delete)
	case step.Patch != nil:
		return s.patch(ctx, step.Patch)
	case step.Rule != nil:
		_, err := s.driver.Control.AddRule(ctx, *step.Rule)
		return err
	case step.Unrule != "":
		return s.driver.Control.RemoveRule(ctx, step.Unrule)
	case step.Record != "":
		record, err := s.settle(ctx)
		if err == nil {
			s.records[step.Record] = record["objects"]
		}
		return err
	case step.Snapshot != nil:
		return s.snapshot(ctx, step.Snapshot)
	case step.Restart:
		return errors.Join(s.kill(), s.start())
	}
	return s.wait(ctx, number, *step.Wait)
}

func (s *side) apply(ctx context.Context, file string) error {
	applied, err := s.objects.Apply(ctx, s.id, s.expand(s.scenario.manifests[file]), metav1.PatchOptions{})
	for _, object := range applied {
		s.aliases.UID(string(object.GetUID()), kindAlias(object.GetKind())+" "+object.GetName())
	}
	return err
}

// find returns the client and the name of an object.
func (s *side) find(ctx context.Context, ref Ref) (client dynamicClient, name string, err error) {
	kind, name := Ref(s.expand(string(ref))).split()
	switch kind {
	case "claim":
		kind = "PersistentVolumeClaim"
	case "volume":
		kind = "PersistentVolume"
		if name, err = s.volumeOf(ctx, name); err != nil {
			return nil, "", err
		}
	}
	client, err = s.objects.Of(kind, s.id)
	return client, name, err
}

// dynamicClient is what the steps need of a client of any kind.
type dynamicClient interface {
	Get(ctx context.Context, name string, options metav1.GetOptions, subresources ...string) (*unstructured.Unstructured, error)
	Delete(ctx context.Context, name string, options metav1.DeleteOptions, subresources ...string) error
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, subresources ...string) (*unstructured.Unstructured, error)
}

// errNoVolume says that a claim has no volume yet, as far as can be seen.
var errNoVolume = errors.New("there is no PersistentVolume for the claim")

// volumeOf finds the name of a claim's PersistentVolume, and remembers it: the
// volume may be asked for after it has gone.
func (s *side) volumeOf(ctx context.Context, claim string) (string, error) {
	if name, known := s.volumes[claim]; known {
		return name, nil
	}
	list, err := s.stage.Client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("listing PersistentVolumes: %w", err)
	}
	for _, volume := range list.Items {
		if of := volume.Spec.ClaimRef; of != nil && of.Namespace == s.id && of.Name == claim {
			s.volumes[claim] = volume.Name
			return volume.Name, nil
		}
	}
	return "", fmt.Errorf("claim %q: %w", claim, errNoVolume)
}

func (s *side) delete(ctx context.Context, ref Ref) error {
	client, name, err := s.find(ctx, ref)
	if err != nil {
		return err
	}
	return client.Delete(ctx, name, metav1.DeleteOptions{})
}

func (s *side) patch(ctx context.Context, patch *Patch) error {
	client, name, err := s.find(ctx, patch.Object)
	if err != nil {
		return err
	}
	var subresources []string
	if patch.Subresource != "" {
		subresources = append(subresources, patch.Subresource)
	}
	_, err = client.Patch(ctx, name, types.MergePatchType, []byte(s.expand(string(patch.With))), metav1.PatchOptions{}, subresources...)
	return err
}

// wait waits for a condition, and notes what came of it.
func (s *side) wait(ctx context.Context, number int, awaited Wait) error {
	bounded, cancel := context.WithTimeout(ctx, awaited.Within.or(within))
	defer cancel()
	what := fmt.Sprintf("step %d", number)
	err := wait.Until(bounded, what, func() (bool, error) {
		done, err := s.holds(bounded, awaited)
		if notYet(err) || bounded.Err() != nil {
			err = nil
		}
		return done, err
	})
	switch {
	case err == nil:
		s.steps[what] = happened
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		s.steps[what] = inVain
	default:
		return err
	}
	return nil
}

// notYet tells whether an error is that something is not there, which may come.
func notYet(err error) bool { return errors.Is(err, errNoVolume) || apierrors.IsNotFound(err) }

// holds tells whether a condition holds.
func (s *side) holds(ctx context.Context, wait Wait) (bool, error) {
	switch {
	case wait.Bound != "":
		claim, err := s.stage.Client.CoreV1().PersistentVolumeClaims(s.id).Get(ctx, wait.Bound, metav1.GetOptions{})
		if err != nil || claim.Status.Phase != corev1.ClaimBound {
			return false, err
		}
		s.volumes[claim.Name] = claim.Spec.VolumeName
		return true, nil
	case wait.Gone != "":
		return s.gone(ctx, wait.Gone)
	case wait.Field != nil:
		return s.hasField(ctx, wait.Field)
	case wait.Event != nil:
		return s.hasEvent(ctx, wait.Event)
	}
	calls, err := s.driver.Control.Calls(ctx, wait.Calls.filter())
	return len(calls) >= max(wait.Calls.Times, 1), err
}

func (w *CallsWait) filter() control.Filter {
	filter := control.Filter{Method: w.Method, State: control.Finished}
	if w.Running {
		filter.State = control.Running
	}
	return filter
}

func (s *side) gone(ctx context.Context, ref Ref) (bool, error) {
	client, name, err := s.find(ctx, ref)
	if err != nil {
		return false, err
	}
	_, err = client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

func (s *side) hasField(ctx context.Context, field *Field) (bool, error) {
	client, name, err := s.find(ctx, field.Object)
	if err != nil {
		return false, err
	}
	object, err := client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	var wanted any
	if err := json.Unmarshal([]byte(s.expand(compact(field.Is))), &wanted); err != nil {
		return false, err
	}
	path := s.expandAll(field.Path)
	return reflect.DeepEqual(toJSON(at(object.Object, path...)), wanted), nil
}

// toJSON is a value as a decoder of JSON gives it.
func toJSON(value any) (decoded any) {
	_ = json.Unmarshal([]byte(compact(value)), &decoded) // it was just encoded
	return decoded
}

func (s *side) hasEvent(ctx context.Context, wanted *EventWait) (bool, error) {
	_, name, err := s.find(ctx, wanted.Object)
	if err != nil {
		return false, err
	}
	events, err := s.events(ctx)
	if err != nil {
		return false, err
	}
	var times int32
	for _, event := range events {
		if event.InvolvedObject.Name == name && strings.EqualFold(event.Reason, wanted.Reason) {
			times += max(event.Count, 1)
		}
	}
	return times >= max(wanted.Times, 1), nil
}
