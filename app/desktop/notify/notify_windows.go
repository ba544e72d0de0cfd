package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// The Windows Runtime is called as it is, without a shell and without generated
// bindings: the few interfaces that a toast takes, with their ids and the places of
// their methods after the six of IInspectable, from windows.ui.notifications.idl and
// windows.data.xml.dom.idl of the Windows SDK.
const (
	managerClass = "Windows.UI.Notifications.ToastNotificationManager"
	toastClass   = "Windows.UI.Notifications.ToastNotification"
	xmlClass     = "Windows.Data.Xml.Dom.XmlDocument"

	iidManager  = "{50AC103F-D235-4598-BBEF-98FE4D1A3AD4}" // IToastNotificationManagerStatics
	iidManager2 = "{7AB93C52-0E48-4750-BA9D-1A4113981847}" // IToastNotificationManagerStatics2
	iidFactory  = "{04124B20-82C6-4229-B109-FD9ED4662B53}" // IToastNotificationFactory
	iidToast2   = "{9DFB9FD1-143A-490E-90BF-B9FBA7132DE7}" // IToastNotification2
	iidXML      = "{F7F3A506-1E87-42D6-BCFB-B8C809FA5494}" // IXmlDocument
	iidXMLIO    = "{6CD0E74E-EE65-4489-9EBF-CA43E87BA637}" // IXmlDocumentIO

	unknownQuery     = 0
	unknownRelease   = 2
	managerNotifier  = 7 // CreateToastNotifierWithId
	manager2History  = 6 // get_History
	factoryCreate    = 6 // CreateToastNotification
	notifierShow     = 6 // Show
	toast2PutTag     = 6 // put_Tag
	toast2PutGroup   = 8 // put_Group
	xmlIOLoad        = 6 // LoadXml
	historyRemove    = 8 // RemoveGroupedTagWithId
	roMultithreaded  = 1 // RO_INIT_MULTITHREADED
	alreadyOtherwise = 0x80010106
	group            = "godwit"
)

// toasts shows notes as Windows' toasts. One goroutine, on a thread of its own, makes
// all calls.
type toasts struct {
	o      Options
	ask    chan request
	clicks chan Click
	stop   context.CancelFunc
	done   chan struct{}
}

type request struct {
	work   func(*runtimeCalls) error
	answer chan error
}

// New registers the program's name for notifications, for this user, and shows them.
// A click opens the target by its scheme, as a link does: package autostart registers it.
func New(o Options) (Notifier, error) {
	key, _, err := registry.CreateKey(registry.CURRENT_USER, `Software\Classes\AppUserModelId\`+o.ID, registry.SET_VALUE)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	err = key.SetStringValue("DisplayName", o.Name)
	if o.Icon != "" {
		err = errors.Join(err, key.SetStringValue("IconUri", o.Icon))
	}
	if err = errors.Join(err, key.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &toasts{o: o, ask: make(chan request), clicks: make(chan Click), stop: stop, done: make(chan struct{})}
	started := make(chan error, 1)
	go t.run(ctx, started)
	if err := <-started; err != nil {
		stop()
		<-t.done
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return t, nil
}

func (t *toasts) Clicks() <-chan Click { return t.clicks }

func (t *toasts) Close() error {
	t.stop()
	<-t.done
	return nil
}

func (t *toasts) run(ctx context.Context, started chan<- error) {
	defer close(t.done)
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	r, err := startRuntime()
	started <- err
	if err != nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-t.ask:
			q.answer <- q.work(r)
		}
	}
}

func (t *toasts) do(ctx context.Context, work func(*runtimeCalls) error) error {
	q := request{work, make(chan error, 1)}
	select {
	case t.ask <- q:
		return <-q.answer
	case <-ctx.Done():
		return ctx.Err()
	case <-t.done:
		return ErrUnavailable
	}
}

func (t *toasts) Show(ctx context.Context, n Note) error {
	return t.do(ctx, func(r *runtimeCalls) error { return r.show(t.o.ID, tag(n.Key), toastXML(n)) })
}

func (t *toasts) Withdraw(ctx context.Context, key string) error {
	return t.do(ctx, func(r *runtimeCalls) error { return r.remove(t.o.ID, tag(key)) })
}

// runtimeCalls are the functions of combase.dll.
type runtimeCalls struct{ factory, activate, newString, deleteString *windows.LazyProc }

func startRuntime() (*runtimeCalls, error) {
	dll := windows.NewLazySystemDLL("combase.dll")
	start := dll.NewProc("RoInitialize")
	r := &runtimeCalls{dll.NewProc("RoGetActivationFactory"), dll.NewProc("RoActivateInstance"), dll.NewProc("WindowsCreateString"), dll.NewProc("WindowsDeleteString")}
	for _, p := range []*windows.LazyProc{start, r.factory, r.activate, r.newString, r.deleteString} {
		if err := p.Find(); err != nil { // older than Windows 8
			return nil, err
		}
	}
	if hr, _, _ := start.Call(roMultithreaded); failed(hr) && uint32(hr) != alreadyOtherwise {
		return nil, result("RoInitialize", hr)
	}
	return r, nil
}

func failed(hr uintptr) bool { return int32(hr) < 0 }

func result(what string, hr uintptr) error {
	if !failed(hr) {
		return nil
	}
	return fmt.Errorf("notify: %s: HRESULT 0x%08X", what, uint32(hr))
}

// object is a COM object: a pointer to a pointer to its table of methods.
type object struct{ methods *[64]uintptr }

// call calls a method; what comes after this are its arguments. Those that point to
// memory of Go stay where they are until it returns.
//
//go:uintptrescapes
func (o *object) call(what string, method int, args ...uintptr) error {
	hr, _, _ := syscall.SyscallN(o.methods[method], append([]uintptr{uintptr(unsafe.Pointer(o))}, args...)...)
	return result(what, hr)
}

func (o *object) release() { syscall.SyscallN(o.methods[unknownRelease], uintptr(unsafe.Pointer(o))) }

// as asks an object for another of its interfaces.
func (o *object) as(iid string) (other *object, err error) {
	id, err := windows.GUIDFromString(iid)
	if err != nil {
		return nil, err
	}
	err = o.call("QueryInterface", unknownQuery, uintptr(unsafe.Pointer(&id)), uintptr(unsafe.Pointer(&other)))
	return other, err
}

// with calls f with a string of the Windows Runtime, one for each text.
func (r *runtimeCalls) with(texts []string, f func([]uintptr) error) error {
	handles := make([]uintptr, len(texts))
	defer func() {
		for _, h := range handles {
			r.deleteString.Call(h)
		}
	}()
	for i, s := range texts {
		wide, err := windows.UTF16FromString(s)
		if err != nil {
			return err
		}
		if hr, _, _ := r.newString.Call(uintptr(unsafe.Pointer(&wide[0])), uintptr(len(wide)-1), uintptr(unsafe.Pointer(&handles[i]))); failed(hr) {
			return result("WindowsCreateString", hr)
		}
	}
	return f(handles)
}

// statics gives an interface of a class itself.
func (r *runtimeCalls) statics(class, iid string) (o *object, err error) {
	id, err := windows.GUIDFromString(iid)
	if err != nil {
		return nil, err
	}
	err = r.with([]string{class}, func(s []uintptr) error {
		hr, _, _ := r.factory.Call(s[0], uintptr(unsafe.Pointer(&id)), uintptr(unsafe.Pointer(&o)))
		return result("RoGetActivationFactory "+class, hr)
	})
	return o, err
}

// document reads XML into a Windows.Data.Xml.Dom.XmlDocument.
func (r *runtimeCalls) document(text string) (*object, error) {
	var instance *object
	err := r.with([]string{xmlClass}, func(s []uintptr) error {
		hr, _, _ := r.activate.Call(s[0], uintptr(unsafe.Pointer(&instance)))
		return result("RoActivateInstance "+xmlClass, hr)
	})
	if err != nil {
		return nil, err
	}
	defer instance.release()
	loader, err := instance.as(iidXMLIO)
	if err != nil {
		return nil, err
	}
	defer loader.release()
	if err := r.with([]string{text}, func(s []uintptr) error { return loader.call("LoadXml", xmlIOLoad, s[0]) }); err != nil {
		return nil, err
	}
	return instance.as(iidXML)
}

func (r *runtimeCalls) show(app, tag, text string) error {
	doc, err := r.document(text)
	if err != nil {
		return err
	}
	defer doc.release()
	factory, err := r.statics(toastClass, iidFactory)
	if err != nil {
		return err
	}
	defer factory.release()
	var toast *object
	if err := factory.call("CreateToastNotification", factoryCreate, uintptr(unsafe.Pointer(doc)), uintptr(unsafe.Pointer(&toast))); err != nil {
		return err
	}
	defer toast.release()
	named, err := toast.as(iidToast2)
	if err != nil {
		return err
	}
	defer named.release()
	manager, err := r.statics(managerClass, iidManager)
	if err != nil {
		return err
	}
	defer manager.release()
	return r.with([]string{tag, group, app}, func(s []uintptr) error {
		if err := errors.Join(named.call("put_Tag", toast2PutTag, s[0]), named.call("put_Group", toast2PutGroup, s[1])); err != nil {
			return err
		}
		var notifier *object
		if err := manager.call("CreateToastNotifierWithId", managerNotifier, s[2], uintptr(unsafe.Pointer(&notifier))); err != nil {
			return err
		}
		defer notifier.release()
		return notifier.call("Show", notifierShow, uintptr(unsafe.Pointer(toast)))
	})
}

func (r *runtimeCalls) remove(app, tag string) error {
	manager, err := r.statics(managerClass, iidManager2)
	if err != nil {
		return err
	}
	defer manager.release()
	var history *object
	if err := manager.call("get_History", manager2History, uintptr(unsafe.Pointer(&history))); err != nil {
		return err
	}
	defer history.release()
	return r.with([]string{tag, group, app}, func(s []uintptr) error {
		return history.call("RemoveGroupedTagWithId", historyRemove, s[0], s[1], s[2])
	})
}
