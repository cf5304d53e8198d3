package options

import (
	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// addLogging adds the flags that all components of Kubernetes have, in the words of
// this program.
func addLogging(fs *pflag.FlagSet, c *Config) {
	c.Logging = logsapi.NewLoggingConfiguration()
	logsapi.AddFlags(c.Logging, fs)
	for name, usage := range map[string]string{
		"logging-format":            "Format of the log: text or json.",
		"log-flush-frequency":       "Longest time for which the log is held back.",
		"v":                         "How much is logged; 5 logs each call to the driver, without secrets.",
		"vmodule":                   "How much is logged by single files, as file=5,other=2; only with --logging-format=text.",
		"log-text-split-stream":     "As text, log errors to standard error and all else to standard output." + needsGate,
		"log-text-info-buffer-size": "Bytes (such as 512 or 64Ki) of what is no error that are held back with --log-text-split-stream." + needsGate,
		"log-json-split-stream":     "As JSON, log errors to standard error and all else to standard output." + needsGate,
		"log-json-info-buffer-size": "Bytes (such as 512 or 64Ki) of what is no error that are held back with --log-json-split-stream." + needsGate,
	} {
		// Those of JSON are there only where that format is linked in.
		if flag := fs.Lookup(name); flag != nil {
			flag.Usage = usage
		}
	}
}

const needsGate = " Needs the feature gate LoggingAlphaOptions."
