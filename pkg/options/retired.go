package options

import "strings"

// RetiredFlag is a flag that older sidecars took and that is refused.
type RetiredFlag struct {
	Name string
	// Fix says what to do instead.
	Fix string
}

// RetiredFlags returns the flags of older external-provisioners and
// external-resizers, which are still found in manifests.
func RetiredFlags() []RetiredFlag {
	const toStderr = "remove it: the log goes to standard error"
	return []RetiredFlag{
		{"connection-timeout", "remove it: the driver is waited for as long as it takes"},
		{"csiTimeout", "use --timeout"},
		{"enable-leader-election", "use --leader-election"},
		{"leader-election-type", "remove it: the lease is of the kind Lease"},
		{"provisioner", "remove it: the driver is asked for its name"},
		{"alsologtostderr", toStderr},
		{"logtostderr", toStderr},
		{"stderrthreshold", toStderr},
		{"log_dir", toStderr},
		{"log_file", toStderr},
		{"log_file_max_size", toStderr},
		{"log_backtrace_at", "remove it, or use -v and --vmodule"},
		{"add_dir_header", "remove it, or use --logging-format=json"},
		{"one_output", toStderr},
		{"skip_headers", "remove it, or use --logging-format=json"},
		{"skip_log_headers", "remove it, or use --logging-format=json"},
	}
}

// retired returns what to do about a flag that is gone.
func retired(name string) (fix string, ok bool) {
	for _, flag := range RetiredFlags() {
		// The flags of logging were written with either.
		if strings.ReplaceAll(flag.Name, "_", "-") == strings.ReplaceAll(name, "_", "-") {
			return flag.Fix, true
		}
	}
	return "", false
}
