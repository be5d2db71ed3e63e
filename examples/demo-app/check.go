package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// check asks the server of the same container for its health and returns the exit
// code of that: 0 when it is well. It waits for an answer for as long as it is let.
func check(ctx context.Context, getenv func(string) string, out io.Writer) int {
	cfg, err := readConfig(getenv)
	if err != nil {
		fmt.Fprintln(out, err)
		return 2
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(cfg.port)+"/health", http.NoBody)
	if err != nil {
		fmt.Fprintln(out, err)
		return 2
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(out, io.LimitReader(res.Body, 4<<10)) // what it says is a courtesy
	if res.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
