// Package proxy stands between a sidecar and the API server, to see what the
// sidecar writes and to make requests fail.
//
// It serves plain HTTP on 127.0.0.1 and forwards with the identity of the
// configuration that it was started with. Watches stream. A [Rule] selects
// requests and says what becomes of them:
//
//	p, err := proxy.Start(config)
//	injected := p.Add(proxy.Rule{
//		Match:  proxy.Match{Method: "PATCH", Path: `/persistentvolumeclaims/c/status$`},
//		Count:  1,
//		Status: proxy.Conflict(),
//	})
//	...
//	err = injected.Wait(ctx, 1)
//	writes := p.Writes(proxy.Match{Path: `/persistentvolumes/`})
//
// Every write is recorded with its body: sidecars write no secrets.
package proxy
