package provision

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// requestParameters returns the class's parameters as the driver gets them:
// without those of the sidecar, with the metadata that was asked for.
func requestParameters(in Input, volumeName string) (map[string]string, error) {
	parameters := make(map[string]string, len(in.Class.Parameters))
	for _, key := range slices.Sorted(maps.Keys(in.Class.Parameters)) {
		switch {
		case key == names.ParameterFSType || secrets.IsParameter(key):
		case strings.HasPrefix(key, names.ParameterPrefix):
			return nil, unknownParameter(key)
		default:
			parameters[key] = in.Class.Parameters[key]
		}
	}
	if in.Options.ExtraCreateMetadata {
		parameters[names.MetadataClaimName] = in.Claim.Name
		parameters[names.MetadataClaimNamespace] = in.Claim.Namespace
		parameters[names.MetadataVolumeName] = volumeName
	}
	return parameters, nil
}

func unknownParameter(key string) error {
	// The prefix is common to all: it says nothing about which is meant.
	var known []string
	for _, parameter := range append(secrets.Parameters(), names.ParameterFSType) {
		known = append(known, strings.TrimPrefix(parameter, names.ParameterPrefix))
	}
	hint := ""
	if nearest, ok := names.Nearest(strings.TrimPrefix(key, names.ParameterPrefix), known); ok {
		hint = fmt.Sprintf(" (did you mean %q?)", names.ParameterPrefix+nearest)
	}
	return fmt.Errorf("unknown parameter %.200q%s: keys that begin with %s are reserved, and there is none of that name", key, hint, names.ParameterPrefix)
}

// fsType returns the file system that the class asks for, else the default one,
// which may be empty.
func fsType(in Input) (string, error) {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(in.Class.Parameters)) {
		if key == names.ParameterFSType || strings.EqualFold(key, names.ParameterFSTypeDeprecated) {
			keys = append(keys, key)
		}
	}
	if len(keys) > 1 {
		return "", fmt.Errorf("the file system is given more than once, by the parameters %q: keep %q only", keys, names.ParameterFSType)
	}
	if len(keys) == 1 && in.Class.Parameters[keys[0]] != "" {
		return in.Class.Parameters[keys[0]], nil
	}
	return in.Options.DefaultFSType, nil
}
