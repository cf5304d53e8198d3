package cluster

// AuditLog is the path of the API server's audit log: one JSON object for each request that
// has been answered, with its metadata.
func (c *Cluster) AuditLog() string { return c.path(logs, "audit.log") }

// unlimited is a size that no log reaches, in megabytes: a log that is being read must not
// be rotated.
const unlimited = "1000000"

func (c *Cluster) auditArguments() []string {
	if !c.options.Audit {
		return nil
	}
	return []string{
		"--audit-policy-file=" + c.path("audit.json"),
		"--audit-log-path=" + c.AuditLog(),
		"--audit-log-maxsize=" + unlimited,
	}
}

// auditPolicy leaves out the administrator, who is the test, and the cluster's own parts.
func auditPolicy() map[string]any {
	return map[string]any{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		"omitStages": []string{"RequestReceived", "ResponseStarted"},
		"rules": []map[string]any{
			{"level": "None", "userGroups": []string{"system:masters"}},
			{"level": "Metadata", "userGroups": []string{"system:serviceaccounts"}},
		},
	}
}
