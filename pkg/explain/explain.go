package explain

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// The outcomes of a claim.
const (
	Made    = "a volume is made"
	Refused = "no volume is made"
	Left    = "it is left to others"
	Nothing = "nothing is done"
)

// Explanation is what would become of one claim.
type Explanation struct {
	// Claim is namespace/name.
	Claim   string `json:"claim"`
	Outcome string `json:"outcome"`
	// Why is the text of the event that the claim would have.
	Why string `json:"why,omitempty"`
	// Notes say what was taken for granted.
	Notes []string `json:"notes,omitempty"`
	// Secrets are namespace/name, by what they are for.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Request is the CreateVolumeRequest without its secrets.
	Request json.RawMessage `json:"createVolumeRequest,omitempty"`
	// Volume is what would be stored if the driver answered with no more than it
	// must.
	Volume *corev1.PersistentVolume `json:"persistentVolume,omitempty"`
}

// Explain decides about each claim. The error is that of ctx.
func Explain(ctx context.Context, objects *Objects, settings Settings) ([]Explanation, error) {
	var all []Explanation
	for _, claim := range objects.Claims {
		explanation, err := objects.gather(ctx, claim, settings).explain()
		if err != nil {
			return nil, fmt.Errorf("explaining claim %s: %w", explanation.Claim, err)
		}
		all = append(all, explanation)
	}
	return all, ctx.Err()
}

func (s *subject) explain() (Explanation, error) {
	claim := s.input.Claim
	decision := provision.Decide(s.input)
	e := Explanation{Claim: claim.Namespace + "/" + claim.Name, Notes: s.notes, Why: decision.Message, Secrets: s.secrets()}
	if decision.Err != nil {
		e.Why = decision.Err.Error()
	}
	switch decision.Verdict {
	case provision.Act:
		e.Outcome = Made
		return s.withPlan(e, decision.Plan)
	case provision.Leave:
		e.Outcome = Left
	case provision.Reject, provision.Reschedule:
		e.Outcome = Refused
	case provision.Skip:
		e.Outcome = Nothing
		e.Why = "the claim is bound, is being deleted, or is another driver's"
	case provision.Await, provision.Compete:
		// Of node deployment, which needs a cluster to be explained.
	}
	return e, nil
}

// secrets resolves what can be resolved.
func (s *subject) secrets() map[string]string {
	if s.input.Class == nil {
		return nil
	}
	all := map[string]string{}
	for _, role := range secrets.Roles() {
		ref, err := secrets.Resolve(role, s.input.Class.Parameters, provision.SecretsOf(s.input))
		if err == nil && ref != nil {
			all[role.String()] = ref.String()
		}
	}
	return all
}

// withPlan adds the plan, and what becomes of it when the driver has answered.
func (s *subject) withPlan(e Explanation, plan *provision.Plan) (Explanation, error) {
	var err error
	if e.Request, err = protojson.Marshal(plan.Request); err != nil {
		return e, fmt.Errorf("writing the request: %w", err)
	}
	answer := provision.Conclude(plan, &csipb.CreateVolumeResponse{Volume: &csipb.Volume{
		VolumeId: "HANDLE", ContentSource: plan.Request.GetVolumeContentSource(),
	}})
	if answer.Err != nil {
		return e, answer.Err
	}
	if e.Volume, err = s.inTree.AsStored(answer.Volume); err != nil {
		// A handle of the driver may be one that the plugin can express.
		e.Volume = answer.Volume
		e.Notes = append(e.Notes, fmt.Sprintf("the PersistentVolume is stored as one of the in-tree plugin %s; it is shown as the driver's", s.inTree.Plugin()))
	}
	return e, nil
}

// Write writes explanations as YAML, one document for each claim.
func Write(w io.Writer, all []Explanation) error {
	for _, e := range all {
		text, err := yaml.Marshal(e)
		if err != nil {
			return fmt.Errorf("writing the explanation of claim %s: %w", e.Claim, err)
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return fmt.Errorf("writing the explanation of claim %s: %w", e.Claim, err)
		}
	}
	return nil
}
