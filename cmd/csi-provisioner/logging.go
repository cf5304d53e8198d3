package main

import (
	"fmt"

	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// applyLogging has the program log as it is set to.
func applyLogging(config options.Config) error {
	gates := featuregate.NewFeatureGate()
	if err := logsapi.AddFeatureGates(gates); err != nil {
		return fmt.Errorf("preparing the options of logging: %w", err)
	}
	if err := gates.SetFromMap(map[string]bool{string(logsapi.LoggingAlphaOptions): config.Gates.LoggingAlphaOptions}); err != nil {
		return fmt.Errorf("preparing the options of logging: %w", err)
	}
	return logsapi.ValidateAndApply(config.Logging, gates)
}
