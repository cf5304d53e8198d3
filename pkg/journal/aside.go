package journal

import (
	"context"
)

// Judge tells whether a record that was read may be acted upon. With an error it is set
// aside: it stays, does not count, and is judged again whenever the journal is read. Intent
// may be changed to what is certain of it.
type Judge func(ctx context.Context, intent *Intent, origin Origin) error

// Trust is a [Judge] for which every record may be acted upon.
func Trust(context.Context, *Intent, Origin) error { return nil }
