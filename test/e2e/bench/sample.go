package bench

import "time"

// measure is what is measured, by its name in the results.
type measure string

const (
	bareRate  measure = "bare rate"
	rate      measure = "rate"
	ratio     measure = "ratio"
	firstDone measure = "first"
	allDone   measure = "all"
	cpuEach   measure = "CPU each"
	cpuServer measure = "API server's CPU each"
	cpuAtRest measure = "CPU at rest"
	peak      measure = "peak"
	resident  measure = "resident"
	writes    measure = "writes each"
	reads     measure = "reads each"
	eventsOf  measure = "events each"
	records   measure = "ConfigMaps each"
	renewals  measure = "leases a minute"
	others    measure = "others a minute"
	size      measure = "size"
)

// shown is how a measure is shown.
type shown struct{ title, format string }

func (m measure) shown() shown {
	return map[measure]shown{
		bareRate:  {"bare requests, 100 at a time", "%.0f/s"},
		rate:      {"rate", "%.0f/s"},
		ratio:     {"rate, as a share of the bare one", "%.2f"},
		firstDone: {"start to the first", "%.2f s"},
		allDone:   {"start to the last", "%.2f s"},
		cpuEach:   {"CPU each, with the start", "%.2f ms"},
		cpuServer: {"CPU of the API server and etcd, each", "%.2f ms"},
		cpuAtRest: {"CPU at rest, of a core", "%.2f %%"},
		peak:      {"memory at the peak (VmHWM)", "%.0f MB"},
		resident:  {"memory at rest (VmRSS)", "%.0f MB"},
		writes:    {"writes of volumes and claims, each", "%.2f"},
		reads:     {"reads (get), each", "%.3f"},
		eventsOf:  {"events, each", "%.2f"},
		records:   {"ConfigMap requests, each", "%.3f"},
		renewals:  {"requests for leases at rest, a minute", "%.0f"},
		others:    {"other requests at rest, a minute", "%.0f"},
		size:      {"the programs, stripped", "%.1f MB"},
	}[m]
}

// sample is one measurement of a contender.
type sample map[measure]float64

// megabyte is the unit of memory in the results.
const megabyte = 1e6

// setMemory fills in what is known of a run's memory.
func (m sample) setMemory(u usage) { m[peak] = u.peak / megabyte }

// setWork fills in what the log tells of some work that was done n times since a moment.
func (m sample) setWork(log *requestLog, began time.Time, n int, done func(request) bool) {
	first, last := log.span(done)
	m[firstDone] = first.Sub(began).Seconds()
	m[allDone] = last.Sub(began).Seconds()
	m[rate] = float64(n-1) / last.Sub(first).Seconds()
	m[ratio] = m[rate] / m[bareRate]
	for of, match := range map[measure]func(request) bool{
		writes:   request.writesVolume,
		reads:    func(r request) bool { return r.verb == "get" },
		eventsOf: func(r request) bool { return r.resource == events },
		records:  func(r request) bool { return r.resource == configMaps && r.verb != "get" && r.verb != "list" },
	} {
		m[of] = float64(log.count(match)) / float64(n)
	}
}
