package csi_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

func TestChainCallsInOrder(t *testing.T) {
	var steps []string
	step := func(name string) grpc.UnaryClientInterceptor {
		return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			steps = append(steps, name)
			defer func() { steps = append(steps, "end of "+name) }()
			return invoke(ctx, method, request, response, conn, options...)
		}
	}
	driver := &recording{steps: &steps}
	if err := verbs(csi.Chain(driver, step("outer"), step("inner")))["DeleteVolume"](t.Context(), "v", grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	want := []string{"outer", "inner", "/csi.v1.Controller/DeleteVolume", "end of inner", "end of outer"}
	if !slices.Equal(steps, want) || driver.options != 1 {
		t.Errorf("the steps are %q, want %q; %d options have come through, want 1", steps, want, driver.options)
	}
}

// recording notes the calls that arrive.
type recording struct {
	grpc.ClientConnInterface
	steps   *[]string
	options int
}

func (r *recording) Invoke(_ context.Context, method string, _, _ any, options ...grpc.CallOption) error {
	*r.steps = append(*r.steps, method)
	r.options += len(options)
	return nil
}

// A call that nobody has thought of is not made without bounds.
func TestCallsNeedABudget(t *testing.T) {
	for name, interceptor := range map[string]grpc.UnaryClientInterceptor{
		"limit": csi.Limit(csi.Budgets{}, nil), "timeout": csi.Timeout(csi.Budgets{}),
	} {
		driver := newBusy()
		err := verbs(csi.Chain(driver, interceptor))["GetCapacity"](t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), "/csi.v1.Controller/GetCapacity") || len(driver.begun) > 0 {
			t.Errorf("%s: the error is %v, the driver got %q", name, err, driver.begun)
		}
	}
}
