package csi_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// failing is a driver whose calls fail with these words.
func failing(message string) *driver {
	err := status.Error(codes.PermissionDenied, message)
	return &driver{
		createVolume: func(context.Context, *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			return nil, err
		},
		deleteVolume: func(*csipb.DeleteVolumeRequest) error { return err },
	}
}

func TestSecretsAreTakenOutOfErrors(t *testing.T) {
	cases := map[string]struct {
		secrets       map[string]string
		message, want string
	}{
		"one value, twice": {
			map[string]string{"password": "t0p-Secret"},
			"login with t0p-Secret failed: t0p-Secret is wrong", "login with *** failed: *** is wrong",
		},
		"several values": {
			map[string]string{"username": "admin", "password": "t0p-Secret"},
			"login as admin/t0p-Secret failed", "login as ***/*** failed",
		},
		"one value is part of another": {
			map[string]string{"a": "hunter", "b": "hunter2-hunter", "c": "hunter2"},
			"tried hunter2-hunter, hunter2, hunter", "tried ***, ***, ***",
		},
		"short values are no secrets": {
			map[string]string{"tls": "yes", "empty": "", "blank": "   \n", "password": "t0p-Secret"},
			"yes, t0p-Secret is wrong", "yes, *** is wrong",
		},
		"the shortest that is one": {
			map[string]string{"pin": "1234"}, "pin 1234 is wrong", "pin *** is wrong",
		},
		"dropped newline": {
			map[string]string{"password": "t0p-Secret\n"}, "t0p-Secret is wrong", "*** is wrong",
		},
		"nothing to hide": {
			map[string]string{"password": "t0p-Secret"}, "the pool is full", "the pool is full",
		},
		"no secrets": {nil, "the pool is full", "the pool is full"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			volumes := csi.NewDriver(connected(t, failing(c.message)))
			_, createErr := volumes.CreateVolume(t.Context(), &csipb.CreateVolumeRequest{Secrets: c.secrets})
			deleteErr := volumes.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{Secrets: c.secrets})
			for call, err := range map[string]error{"CreateVolume": createErr, "DeleteVolume": deleteErr} {
				if got, want := csi.Message(err), "PermissionDenied: "+c.want; got != want {
					t.Errorf("%s: error %q, want %q", call, got, want)
				}
			}
		})
	}
}

func TestSecretsAreTakenOutOfDetails(t *testing.T) {
	detailed, err := status.New(codes.Internal, "t0p-Secret is wrong").WithDetails(wrapperspb.String("t0p-Secret"))
	if err != nil {
		t.Fatal(err)
	}
	conn := connected(t, &driver{deleteVolume: func(*csipb.DeleteVolumeRequest) error { return detailed.Err() }})
	err = csi.NewDriver(conn).DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{Secrets: map[string]string{"password": "t0p-Secret"}})
	if details := status.Convert(err).Details(); len(details) > 0 {
		t.Errorf("the error has kept the details %v", details)
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	const limit = 4 << 10
	secret := "t0p-" + strings.Repeat("Secret", 10)
	cases := map[string]struct{ message, want string }{
		"as long as it may be": {strings.Repeat("x", limit), strings.Repeat("x", limit)},
		"too long":             {strings.Repeat("x", limit+1), strings.Repeat("x", limit) + "… (4097 bytes)"},
		"between two characters": {
			strings.Repeat("x", limit-1) + "éé", strings.Repeat("x", limit-1) + "… (4099 bytes)",
		},
		"a secret at the cut": {
			strings.Repeat("x", limit-10) + secret + strings.Repeat("y", 100),
			strings.Repeat("x", limit-10) + "***yyyyyyy… (4189 bytes)",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			volumes := csi.NewDriver(connected(t, failing(c.message)))
			err := volumes.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{Secrets: map[string]string{"password": secret}})
			if got := status.Convert(err).Message(); got != c.want {
				t.Errorf("the message ends with %q, want %q", tail(got), tail(c.want))
			} else if !utf8.ValidString(got) {
				t.Errorf("the message is not UTF-8: it ends with %q", tail(got))
			}
		})
	}
}

func tail(s string) string { return s[max(0, len(s)-40):] }
