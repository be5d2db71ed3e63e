package client_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// pagedNetworks serves networks net-0 … in pages of the asked size.
func pagedNetworks(t *testing.T, total, failAt int) *recorder {
	return serve(t, func(w http.ResponseWriter, r *http.Request, attempt int) {
		if attempt == failAt {
			problem(w, api.Problem{Status: 403, Code: api.CodeForbidden, Detail: "no"})
			return
		}
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		page := api.NetworkList{TotalCount: total}
		for i := from; i < min(from+limit, total); i++ {
			page.Networks = append(page.Networks, api.Network{NetworkName: fmt.Sprintf("net-%d", i)})
		}
		if from+limit < total {
			page.NextCursor = strconv.Itoa(from + limit)
		}
		answer(w, http.StatusOK, page)
	})
}

func collect(c *client.Client, t *testing.T, stopAfter int) (names []string, err error) {
	for n, e := range c.AllNetworks(t.Context(), api.ListNetworksOptions{Page: api.Page{Limit: 3}}) {
		if e != nil {
			return names, e
		}
		if names = append(names, n.NetworkName); len(names) == stopAfter {
			break
		}
	}
	return names, nil
}

func TestAllPages(t *testing.T) {
	tests := []struct {
		name                     string
		total, stopAfter, failAt int
		items, requests          int
		fails                    bool
	}{
		{name: "none", total: 0, requests: 1},
		{name: "one page", total: 3, items: 3, requests: 1},
		{name: "three pages", total: 7, items: 7, requests: 3},
		{name: "stop early", total: 7, stopAfter: 4, items: 4, requests: 2},
		{name: "second page refused", total: 7, failAt: 2, items: 3, requests: 2, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := pagedNetworks(t, tt.total, tt.failAt)
			names, err := collect(newClient(t, srv.URL), t, tt.stopAfter)
			if tt.fails != client.IsForbidden(err) {
				t.Fatalf("error %v", err)
			}
			if len(names) != tt.items || len(srv.all()) != tt.requests {
				t.Fatalf("%d items in %d requests, want %d in %d", len(names), len(srv.all()), tt.items, tt.requests)
			}
			for i, name := range names {
				if name != fmt.Sprintf("net-%d", i) {
					t.Errorf("item %d is %s", i, name)
				}
			}
		})
	}
}

func TestAllLogsEndsWithTheNewest(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request, attempt int) {
		answer(w, http.StatusOK, api.LogList{
			Logs: []api.LogEntry{{Message: strconv.Itoa(attempt)}}, HasMore: attempt < 3, NextCursor: "c" + strconv.Itoa(attempt),
		})
	})
	var lines []string
	for line, err := range newClient(t, srv.URL).AllLogs(t.Context(), "a", api.LogsOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line.Message)
	}
	if fmt.Sprint(lines) != "[1 2 3]" {
		t.Errorf("lines %v", lines)
	}
}
