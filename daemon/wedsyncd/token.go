package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon"
	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// tokenCommands work on the database itself, so that they need neither a running
// daemon nor a token: who may read the data directory or has the DSN is trusted.
type tokenCommands struct {
	Create tokenCreate `cmd:"" help:"Create a token and print it: the only time that it can be seen."`
	List   tokenList   `cmd:"" help:"List the tokens, without their secrets."`
	Revoke tokenRevoke `cmd:"" help:"Revoke a token; it ends within two seconds."`
}

type tokenCreate struct {
	Name         string        `arg:"" help:"Name of the principal, such as ci."`
	Role         string        `help:"Role: system_admin, devops_engineer, developer or monitoring_system." required:""`
	Environments []string      `name:"environment" help:"Environment that the token may work in, repeatable; * stands for all." required:""`
	ExpiresIn    time.Duration `help:"Time until the token ends by itself, such as 720h; never by default."`
}

func (t *tokenCreate) Run(ctx context.Context, o *options) error {
	g := access.Grant{Name: t.Name, Role: fleet.Role(t.Role), Environments: t.Environments}
	if t.ExpiresIn < 0 {
		return fmt.Errorf("expiry %s lies in the past; use for example 720h", t.ExpiresIn)
	}
	if t.ExpiresIn > 0 {
		at := time.Now().Add(t.ExpiresIn).UTC()
		g.ExpiresAt = &at
	}
	if err := g.Check(o.Environments); err != nil {
		return err
	}
	return o.withTokens(ctx, func(ctx context.Context, tokens *access.Tokens) error {
		secret, _, err := tokens.Create(ctx, g)
		if err != nil {
			return err
		}
		_, err = fmt.Println(secret)
		return err
	})
}

type tokenList struct{}

func (*tokenList) Run(ctx context.Context, o *options) error {
	return o.withTokens(ctx, func(ctx context.Context, tokens *access.Tokens) error {
		list, err := tokens.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "ID\tNAME\tTOKEN\tROLE\tENVIRONMENTS\tCREATED\tLAST USED\tSTATE")
		for _, t := range list {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s…\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Principal.Name, t.Prefix, t.Principal.Role,
				strings.Join(t.Principal.Environments, ","), t.CreatedAt.UTC().Format(time.RFC3339), moment(t.LastUsedAt), state(t))
		}
		return w.Flush()
	})
}

func moment(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func state(t fleet.Token) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked " + moment(t.RevokedAt)
	case t.ExpiresAt != nil && time.Now().After(*t.ExpiresAt):
		return "expired " + moment(t.ExpiresAt)
	case t.ExpiresAt != nil:
		return "active until " + moment(t.ExpiresAt)
	default:
		return "active"
	}
}

type tokenRevoke struct {
	Token string `arg:"" help:"Identifier of the token, or name of its principal."`
}

func (t *tokenRevoke) Run(ctx context.Context, o *options) error {
	return o.withTokens(ctx, func(ctx context.Context, tokens *access.Tokens) error {
		token, err := tokens.Revoke(ctx, t.Token)
		if err != nil {
			return err
		}
		_, err = fmt.Printf("revoked token %s of %s\n", token.ID, token.Principal.Name)
		return err
	})
}

func (o *options) withTokens(ctx context.Context, do func(context.Context, *access.Tokens) error) error {
	c, err := o.config()
	if err != nil {
		return err
	}
	return daemon.WithTokens(ctx, c, do)
}
