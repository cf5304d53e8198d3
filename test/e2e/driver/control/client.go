package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// retryEvery is how often a client that waits asks a driver that is not there.
const retryEvery = 25 * time.Millisecond

// A Client speaks to one driver's control socket. It may be used by several
// goroutines, and goes on working when the driver starts again.
type Client struct {
	http *http.Client
}

// New makes a client for the driver whose control socket is at that path. It
// connects when it is used.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: dial,
		// A kept connection would be to the driver before the restart.
		DisableKeepAlives: true,
	}}}
}

// Info tells which driver answers.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.do(ctx, http.MethodGet, "/info", nil, &info)
	return info, err
}

// WaitReady waits until the driver serves.
func (c *Client) WaitReady(ctx context.Context) (Info, error) {
	var info Info
	err := retry(ctx, func() (err error) { info, err = c.Info(ctx); return err })
	return info, err
}

// AddRule adds a rule after those that are there, and returns its ID.
func (c *Client) AddRule(ctx context.Context, rule Rule) (string, error) {
	var added RuleStatus
	err := c.do(ctx, http.MethodPost, "/rules", rule, &added)
	return added.ID, err
}

// Rules lists the rules in their order. Rules that are used up stay, to be
// asked for their hits.
func (c *Client) Rules(ctx context.Context) ([]RuleStatus, error) {
	var rules []RuleStatus
	err := c.do(ctx, http.MethodGet, "/rules", nil, &rules)
	return rules, err
}

// RemoveRule removes a rule and lets the calls go on that it keeps. A rule
// that is not there is an error.
func (c *Client) RemoveRule(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/rules/"+url.PathEscape(id), nil, nil)
}

// RemoveRules removes all rules and lets the calls go on that they keep.
func (c *Client) RemoveRules(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/rules", nil, nil)
}

// Calls lists the calls that the filter selects, in the order of arrival.
func (c *Client) Calls(ctx context.Context, filter Filter) ([]Call, error) {
	return c.calls(ctx, filter, 0)
}

// WaitForCalls waits until there are at least that many calls that the filter
// selects, and returns them all. It waits through restarts of the driver.
func (c *Client) WaitForCalls(ctx context.Context, filter Filter, atLeast int) ([]Call, error) {
	var calls []Call
	err := retry(ctx, func() (err error) { calls, err = c.calls(ctx, filter, atLeast); return err })
	if err != nil {
		return nil, fmt.Errorf("waiting for %d calls (%s): %w", atLeast, filter.Query().Encode(), err)
	}
	return calls, nil
}

// ClearCalls forgets the calls that have finished.
func (c *Client) ClearCalls(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/calls", nil, nil)
}

// Volumes lists the volumes that the driver has, sorted by ID.
func (c *Client) Volumes(ctx context.Context) ([]Volume, error) {
	var volumes []Volume
	err := c.do(ctx, http.MethodGet, "/volumes", nil, &volumes)
	return volumes, err
}

func (c *Client) calls(ctx context.Context, filter Filter, atLeast int) ([]Call, error) {
	query := filter.Query()
	if atLeast > 0 {
		query.Set("min", strconv.Itoa(atLeast))
	}
	var calls []Call
	err := c.do(ctx, http.MethodGet, "/calls?"+query.Encode(), nil, &calls)
	return calls, err
}

// do sends one request; in and out are JSON, or nil.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request of %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://driver"+path, body)
	if err != nil {
		return fmt.Errorf("making the request %s %s: %w", method, path, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking the driver: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s", method, path, strings.TrimSpace(string(content)))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("decoding the answer to %s %s: %w", method, path, err)
	}
	return nil
}

// retry calls ask until it succeeds or the context ends; the last error tells
// why it did not.
func retry(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	var last error
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}
