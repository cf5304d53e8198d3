// Package compare plays scenarios with this project's sidecar and with its peers,
// external-provisioner and external-resizer as they were released, on one cluster
// with one kind of driver, and compares what comes of it: the calls that reach the
// driver, with all fields and secrets; claims, PersistentVolumes, storage capacities
// and snapshots, with all fields; the events; the volumes that the driver has;
// whether the programs run; and whether what a scenario waits for happens.
//
// Names, identifiers and times are replaced by what they are for (see [Aliases]). The
// texts of events and conditions are not compared (row event-texts), nor how often the
// same is repeated, which depends on time: a call that is repeated has a star.
//
// # A scenario
//
// is a folder in scenarios, with manifests and a script, scenario.yaml:
//
//	summary: A volume that the driver refuses once is made in the end.
//	core: true                       # also played by make test
//	controllers: [provisioner]       # and, or, resizer
//	driver: [--max-volume-size=1Ti]  # flags of cmd/driver
//	flags: [--strict-topology]       # of external-provisioner and this project's
//	resizerFlags: []                 # of external-resizer and this project's
//	ownFlags: []                     # of this project's alone
//	env: [NODE_NAME=n1]
//	steps:
//	- rule: {match: {method: CreateVolume}, count: 1, code: INTERNAL}
//	- apply: claim.yaml
//	- wait: {bound: a}               # or gone, field, event, calls; see Wait
//	- record: bound                  # the objects once all is quiet
//	- snapshot: {of: a, name: s}     # VolumeSnapshot s, ready to use
//	- delete: claim a                # "claim a", "volume a" (that of claim a), "Kind name"
//	- wait: {gone: volume a}
//	differences:
//	- row: one-provisioning-event    # of docs/compatibility.md
//	  at: events/PersistentVolumeClaim a/Provisioning/Normal
//	  own: 1                         # YAML; "absent"; or "(anything)"
//	  peer: 2
//
// With each: {internal: INTERNAL, aborted: ABORTED} a folder is a scenario for each
// key, in which $(EACH) is the value; differences may be for some keys only
// (for: [internal]).
//
// In manifests and all texts of the script, $(ID) stands for the side's namespace,
// with which also the names of objects begin that are in none; $(DRIVER) for the
// driver's name, and $(NODE) for the node. Objects without a namespace go to the
// side's own. In records the side's namespace is ID, and the UID of claim a is
// "(claim a)".
//
// Both sides run the same steps at the same time. A wait that times out is no
// error, but a result that is compared; only when both sides wait in vain the
// scenario is wrong. After the last step all must become quiet, and is recorded as
// "end".
//
// Nothing is expected to differ but what differences say, and that must differ, in
// exactly this way.
//
//	make compare                     # all
//	make compare COMPARE=secret      # those whose names match
//
// prints what is found in the form of differences. With COMPARE_RECORDS=dir it
// writes the records of both sides there.
package compare
