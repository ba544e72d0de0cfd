//go:build darwin && cgo

package notify

/*
#cgo CFLAGS: -x objective-c -fobjc-arc
#cgo LDFLAGS: -framework Foundation -framework UserNotifications
#include <stdint.h>
#include <stdlib.h>

int godwit_notify_start(uintptr_t handle);
void godwit_notify_stop(void);
void godwit_notify_show(const char *key, const char *target, const char *title, const char *body);
void godwit_notify_withdraw(const char *key);
*/
import "C"

import (
	"context"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// center shows notes by UNUserNotificationCenter (notify_darwin.m), which has a
// delegate for the whole process and works in a bundle only.
type center struct {
	handle cgo.Handle
	clicks clicks
	close  sync.Once
}

// New asks the person for leave to show notifications, the first time. Its error is
// ErrUnavailable for a program that does not run from its bundle.
func New(Options) (Notifier, error) {
	c := &center{clicks: make(clicks, pending)}
	c.handle = cgo.NewHandle(c.clicks)
	if C.godwit_notify_start(C.uintptr_t(c.handle)) == 0 {
		c.handle.Delete()
		return nil, ErrUnavailable
	}
	return c, nil
}

func (c *center) Clicks() <-chan Click { return c.clicks }

func (c *center) Close() error {
	c.close.Do(func() {
		C.godwit_notify_stop() // waits for a click that is being told
		c.handle.Delete()
	})
	return nil
}

func (c *center) Show(_ context.Context, n Note) error {
	key, target := C.CString(tag(n.Key)), C.CString(n.Target)
	title, body := C.CString(plain(n.Title, maxTitle)), C.CString(plain(n.Body, maxBody))
	for _, s := range []*C.char{key, target, title, body} {
		defer C.free(unsafe.Pointer(s))
	}
	C.godwit_notify_show(key, target, title, body)
	return nil
}

func (c *center) Withdraw(_ context.Context, key string) error {
	k := C.CString(tag(key))
	defer C.free(unsafe.Pointer(k))
	C.godwit_notify_withdraw(k)
	return nil
}

//export godwitNotifyClicked
func godwitNotifyClicked(handle C.uintptr_t, target *C.char) {
	if out, ok := cgo.Handle(handle).Value().(clicks); ok {
		out.put(Click{Target: C.GoString(target)})
	}
}
