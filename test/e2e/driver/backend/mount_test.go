package backend

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMount(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want mount
		ok   bool
	}{
		"plain": {
			line: "36 35 98:0 /dir /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
			want: mount{device: "98:0", root: "/dir", point: "/mnt", fsType: "ext3", source: "/dev/root"},
			ok:   true,
		},
		"no optional field and a space in the path": {
			line: `36 35 7:0 / /a\040b\134c rw - xfs /dev/loop0 rw`,
			want: mount{device: "7:0", root: "/", point: `/a b\c`, fsType: "xfs", source: "/dev/loop0"},
			ok:   true,
		},
		"nonsense": {line: "36 35"},
		"empty":    {line: ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseMount(tc.line)
			if ok != tc.ok {
				t.Fatalf("ok = %v, want %v", ok, tc.ok)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(mount{})); diff != "" {
				t.Errorf("mount (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlaceHoldsOnlyWhatIsInside(t *testing.T) {
	all := []mount{
		{device: "8:1", root: "/", point: "/"},
		{device: "8:2", root: "/sub", point: "/var"},
	}
	at := locate("/var/state/data", all)
	if want := (place{device: "8:2", root: "/sub/state/data"}); at != want {
		t.Fatalf("place is %+v, want %+v", at, want)
	}
	for name, tc := range map[string]struct {
		m    mount
		want bool
	}{
		"inside":         {mount{device: "8:2", root: "/sub/state/data/vol-1"}, true},
		"itself":         {mount{device: "8:2", root: "/sub/state/data"}, false},
		"a namesake":     {mount{device: "8:2", root: "/sub/state/database"}, false},
		"another device": {mount{device: "8:1", root: "/sub/state/data/vol-1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := at.holds(tc.m); got != tc.want {
				t.Errorf("holds = %v, want %v", got, tc.want)
			}
		})
	}
}
