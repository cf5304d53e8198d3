package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/record"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/snapshot"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

const (
	// longestResponse and longestMessage limit what is recorded of the end of
	// a call.
	longestResponse = 64 << 10
	longestMessage  = 4 << 10
)

type outcome struct {
	response proto.Message
	err      error
}

// intercept is around each call. The work is done apart from the client: it
// goes on when the client has gone.
func (d *Driver) intercept(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	message, ok := request.(proto.Message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "the request is a %T", request)
	}
	if !d.enter() {
		return nil, status.Error(codes.Unavailable, "the driver stops")
	}
	c := describe(path.Base(info.FullMethod), message)
	d.name(&c.subject)
	seq, err := d.begin(c)
	if err != nil {
		d.working.Done()
		return nil, status.Errorf(codes.Internal, "recording the call: %v", err)
	}
	outcomes := make(chan outcome, 1)
	go func() {
		defer d.working.Done()
		response, err := d.perform(context.WithoutCancel(ctx), seq, c, handler)
		d.finish(seq, c, response, err)
		outcomes <- outcome{response, err}
	}()
	select {
	case done := <-outcomes:
		return done.response, done.err
	case <-ctx.Done():
		d.calls.Abandon(seq)
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// enter counts a call as working, unless the driver stops.
func (d *Driver) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return false
	}
	d.working.Add(1)
	return true
}

// perform does the work of one call, as far as the rules let it.
func (d *Driver) perform(
	ctx context.Context, seq int64, c call, handler grpc.UnaryHandler,
) (proto.Message, error) {
	if err := d.capabilities.allow(c.subject.Method); err != nil {
		return nil, err
	}
	leave, err := d.turns.take(d.stopping, c.turn())
	if err != nil {
		return nil, err
	}
	defer leave()
	// The call before this one may have made the volume.
	d.name(&c.subject)
	rule := d.rules.Apply(c.subject)
	if rule != nil {
		d.calls.Apply(seq, rule.Rule())
	}
	if err := rule.Before(d.stopping); err != nil {
		return nil, err
	}
	response, err := handler(ctx, c.request)
	message, _ := response.(proto.Message)
	return rule.After(d.stopping, message, toStatus(err))
}

func (d *Driver) begin(c call) (int64, error) {
	request, err := encode(c.public)
	if err != nil {
		return 0, err
	}
	return d.calls.Begin(control.Call{
		Method:     c.subject.Method,
		VolumeID:   c.subject.VolumeID,
		VolumeName: c.subject.VolumeName,
		Request:    request,
		Secrets:    c.secrets,
		Started:    d.clock.Now(),
		PID:        os.Getpid(),
	}), nil
}

func (d *Driver) finish(seq int64, c call, response proto.Message, err error) {
	end := record.End{Seq: seq, Finished: d.clock.Now(), Code: status.Code(err), VolumeID: createdID(response)}
	log := d.options.Log.WithValues("method", c.subject.Method, "volume", c.subject.VolumeName, "call", seq)
	if err != nil {
		end.Message = shorten(status.Convert(err).Message())
		log.Info("Call failed", "code", end.Code.String(), "reason", end.Message)
	} else {
		end.Response = recordable(response)
		log.V(1).Info("Call succeeded")
	}
	d.calls.Finish(end)
}

// recordable is the response in JSON, or nil if it is too long.
func recordable(response proto.Message) json.RawMessage {
	if proto.Size(response) > longestResponse {
		return nil
	}
	encoded, err := encode(response)
	if err != nil || len(encoded) > longestResponse {
		return nil
	}
	return encoded
}

func shorten(message string) string {
	if len(message) <= longestMessage {
		return message
	}
	return fmt.Sprintf("%s... (%d bytes)", message[:longestMessage], len(message))
}

// toStatus gives errors of the driver's own packages their gRPC code.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Internal
	switch {
	case errors.Is(err, volume.ErrNotFound), errors.Is(err, snapshot.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, backend.ErrNotReady):
		code = codes.FailedPrecondition
	}
	return status.Error(code, err.Error())
}
