package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) initCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the account on this device",
		Long:  "Makes the account on this device. A node and the desktop do it silently.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load()
			if err != nil {
				return err
			}
			account, err := app.Create(cmd.Context(), cfg, api.InitRequest{Name: name})
			if err != nil {
				return err
			}
			return c.made(account, "Write the 24 recovery words of `godwit phrase` on paper: nobody else can give them back.")
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what contacts are told at first contact (`NAME`)")
	return cmd
}

func (c *cli) recoverCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Make the account on this device from its 24 recovery words",
		Long: "Makes the account on this device from its 24 recovery words, which are read from standard input, and revokes all its other devices.\n" +
			"The words are the account and nothing else: who your contacts are, their addresses, your relays, the history, and messages that only the other device had\n" +
			"are not in them. A contact is there again when you accept an invitation or address of theirs, or they one of yours (one for all: `godwit invite --reusable`). To them you are the same person: same id, same safety number,\n" +
			"the conversation goes on, with a note in it that the account was recovered. What they sent that your other device did not acknowledge comes to this one then.\n" +
			"What contacts whom you never meet again left at relays stays there until it expires, and they are told that it failed.\n" +
			"A device that was revoked learns it from the first contact who meets the new one, by its relays, and stops.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load()
			if err != nil {
				return err
			}
			// Not after somebody has typed 24 words.
			if err := app.Vacant(cfg); err != nil {
				return err
			}
			if c.terminalIn() {
				c.note("The 24 recovery words, on one line or several:")
			}
			words, err := interruptibly(cmd.Context(), func() (string, error) { return readWords(c.in) })
			if err != nil {
				return err
			}
			account, err := app.Recover(cmd.Context(), cfg, api.RecoverRequest{Words: words, Name: name})
			if err != nil {
				return err
			}
			return c.made(account, "The account is yours again, and its other devices are revoked. Contacts, relays and history are not in the words: add a relay (`godwit relay add`), and accept an invitation or address of each contact, or have them accept yours (`godwit invite --reusable`). To them you are the same person, and what they sent that nobody has read comes then.")
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what contacts are told at first contact (`NAME`)")
	return cmd
}

func (c *cli) made(a api.Account, advice string) error {
	err := c.result(a, func(w io.Writer) {
		fmt.Fprintf(w, "account %s\ndevice  %s\n", a.Account, a.Device)
		if a.Name != "" {
			fmt.Fprintf(w, "name    %s\n", visible(a.Name))
		}
	})
	if err == nil {
		c.note("%s", advice)
	}
	return err
}

// readWords reads until there are 24 words, or the input ends.
func readWords(r io.Reader) (string, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxLine))
	in.Split(bufio.ScanWords)
	var words []string
	for len(words) < 24 && in.Scan() {
		words = append(words, in.Text())
	}
	return strings.Join(words, " "), in.Err()
}

func (c *cli) phraseCommand() *cobra.Command {
	var written bool
	cmd := &cobra.Command{
		Use:   "phrase",
		Short: "Show the 24 recovery words",
		Long: "Shows the 24 words that the account can be made from again. Whoever has them is you.\n" +
			"Once they are on paper, --written removes them from this device.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				p, err := a.Phrase(ctx, api.PhraseRequest{Written: written})
				if err != nil {
					return err
				}
				return c.result(p, func(w io.Writer) {
					for i := 0; i < len(p.Words); i += 4 {
						fmt.Fprintln(w, strings.Join(p.Words[i:min(i+4, len(p.Words))], " "))
					}
					if p.Forgotten {
						c.note("The words are no longer on this device.")
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&written, "written", false, "they are written down: remove them from this device")
	return cmd
}

func (c *cli) lockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "Put the keys of this profile under a passphrase",
		Long: "Puts the keys of this profile under a passphrase, which is asked on the terminal, or is the first line of standard input.\n" +
			"From then on it is asked whenever the profile is opened; commands without a terminal take it from GODWIT_PASSPHRASE.\n" +
			"A profile that has a passphrase gets another one only from who knows the old one: it is asked first, or is GODWIT_PASSPHRASE, or is a line before the new one.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := c.presentPassphrase()
			return c.with(cmd.Context(), func(cfg *config.Config) { cfg.Passphrase = now }, func(ctx context.Context, a account) error {
				s, err := a.Status(ctx, api.StatusRequest{})
				if err != nil {
					return err
				}
				var r api.LockRequest
				if s.Protection.Kind == api.ByPassphrase {
					if r.Present, err = now(ctx); err != nil {
						return err
					}
				}
				if r.Passphrase, err = c.newPassphrase(ctx); err != nil {
					return err
				}
				p, err := a.Lock(ctx, r)
				if err != nil {
					return err
				}
				return c.result(p, func(w io.Writer) {
					fmt.Fprintln(w, "The profile has a passphrase now, which is asked whenever it is opened.")
					c.note("There is no way round a forgotten passphrase but the 24 recovery words.")
				})
			})
		},
	}
}

// presentPassphrase asks once for the passphrase that a profile has: it is
// GODWIT_PASSPHRASE, or asked on the terminal, or the next line of standard input.
func (c *cli) presentPassphrase() func(context.Context) (string, error) {
	pass := c.getenv("GODWIT_PASSPHRASE")
	return func(ctx context.Context) (_ string, err error) {
		switch {
		case pass != "":
		case c.terminalIn():
			pass, err = c.askSecret(ctx, "Passphrase: ")
		default:
			pass, err = c.line(ctx)
		}
		return pass, err
	}
}

func (c *cli) unlockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unlock",
		Short: "Take the passphrase of this profile off again",
		Long:  "Takes the passphrase off, so that the profile opens without it. It is read from GODWIT_PASSPHRASE, the terminal, or the first line of standard input.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := c.presentPassphrase()
			return c.with(cmd.Context(), func(cfg *config.Config) { cfg.Passphrase = ask }, func(ctx context.Context, a account) error {
				s, err := a.Status(ctx, api.StatusRequest{})
				if err != nil {
					return err
				}
				if s.Protection.Kind != api.ByPassphrase {
					return problem.New(problem.NotLocked, nil)
				}
				pass, err := ask(ctx)
				if err != nil {
					return err
				}
				p, err := a.Unlock(ctx, api.UnlockRequest{Passphrase: pass})
				if err != nil {
					return err
				}
				return c.result(p, func(w io.Writer) { fmt.Fprintf(w, "The profile has no passphrase any more. %s\n", p.Means) })
			})
		},
	}
}

// newPassphrase asks for a passphrase twice on a terminal; else it is the next
// line of standard input.
func (c *cli) newPassphrase(ctx context.Context) (string, error) {
	if !c.terminalIn() {
		return c.line(ctx)
	}
	pass, err := c.askSecret(ctx, "New passphrase: ")
	if err != nil {
		return "", err
	}
	again, err := c.askSecret(ctx, "Once more: ")
	if err != nil {
		return "", err
	}
	if pass != again {
		return "", problem.Newf(problem.BadPassphrase, "the two are not the same")
	}
	return pass, nil
}
