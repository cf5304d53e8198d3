package provision

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/equality"
)

// Derive returns the plan to which the claim and its class lead, whether the volume is
// still to be made or not.
func Derive(in Input) (*Plan, error) {
	switch {
	case in.Class == nil:
		return nil, fmt.Errorf("StorageClass %.253q does not exist", ClassName(in.Claim))
	case in.ClassErr != nil:
		return nil, in.ClassErr
	case !in.Driver.Serves(in.Class):
		return nil, fmt.Errorf("StorageClass %q is not the driver's", in.Class.Name)
	case in.Node.OtherNode(in.Claim):
		return nil, errors.New("it is another node's")
	case in.Claim.Spec.VolumeName != "" && in.Claim.Spec.VolumeName != VolumeName(in.Options, in.Claim):
		return nil, fmt.Errorf("it has another volume, %.253q", in.Claim.Spec.VolumeName)
	}
	if err := sourceSupported(in); err != nil {
		return nil, err
	}
	return newPlan(in)
}

// Confirms tells whether a recorded plan asks for nothing but what this one asks for,
// wherever the volume is to be.
func (p *Plan) Confirms(recorded *Plan) bool {
	return proto.Equal(WithoutTopology(p.Request), WithoutTopology(recorded.Request)) &&
		equality.Semantic.DeepEqual(p.Source, recorded.Source) && p.sameButRequest(recorded)
}
