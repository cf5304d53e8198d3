package capability_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

func TestAllBut(t *testing.T) {
	all, err := capability.AllBut(nil)
	for i := range reflect.ValueOf(all).NumField() {
		if !reflect.ValueOf(all).Field(i).Bool() {
			t.Errorf("all are without %s", reflect.TypeOf(all).Field(i).Name)
		}
	}
	if err != nil {
		t.Error(err)
	}
	want := all
	want.Modify, want.ControllerExpand, want.NodeExpand = false, false, false
	if some, err := capability.AllBut([]string{"EXPAND_VOLUME", "MODIFY_VOLUME"}); err != nil || some != want {
		t.Errorf("some are %+v, %v", some, err)
	}
	if _, err := capability.AllBut([]string{"FLY"}); err == nil || !strings.Contains(err.Error(), `unknown capability "FLY": known are CLONE_VOLUME, `) {
		t.Errorf("the error is %v", err)
	}
}
