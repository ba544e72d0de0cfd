#import <Foundation/Foundation.h>
#import <UserNotifications/UserNotifications.h>

#include <stdint.h>

// In notify_darwin.go.
extern void godwitNotifyClicked(uintptr_t handle, char *target);

// The handle of the Go side; 0 while it does not listen. Guarded by the class itself.
static uintptr_t listener = 0;

@interface GodwitNotifications : NSObject <UNUserNotificationCenterDelegate>
@end

@implementation GodwitNotifications

// Whether something is shown was decided before: also while the program is in front.
- (void)userNotificationCenter:(UNUserNotificationCenter *)center
       willPresentNotification:(UNNotification *)notification
         withCompletionHandler:(void (^)(UNNotificationPresentationOptions))done {
	if (@available(macOS 11.0, *)) {
		done(UNNotificationPresentationOptionBanner | UNNotificationPresentationOptionList);
	} else {
		done(UNNotificationPresentationOptionAlert);
	}
}

- (void)userNotificationCenter:(UNUserNotificationCenter *)center
    didReceiveNotificationResponse:(UNNotificationResponse *)response
             withCompletionHandler:(void (^)(void))done {
	if ([response.actionIdentifier isEqualToString:UNNotificationDefaultActionIdentifier]) {
		id target = response.notification.request.content.userInfo[@"target"];
		if ([target isKindOfClass:[NSString class]]) {
			@synchronized([GodwitNotifications class]) {
				if (listener != 0) {
					godwitNotifyClicked(listener, (char *)[target UTF8String]);
				}
			}
		}
	}
	done();
}

@end

// The center holds its delegate weakly.
static GodwitNotifications *delegate = nil;

int godwit_notify_start(uintptr_t handle) {
	// Without a bundle currentNotificationCenter throws.
	if ([[NSBundle mainBundle] bundleIdentifier] == nil) {
		return 0;
	}
	@autoreleasepool {
		@synchronized([GodwitNotifications class]) {
			listener = handle;
			if (delegate == nil) {
				delegate = [[GodwitNotifications alloc] init];
			}
		}
		UNUserNotificationCenter *center = [UNUserNotificationCenter currentNotificationCenter];
		center.delegate = delegate;
		[center requestAuthorizationWithOptions:UNAuthorizationOptionAlert
		                      completionHandler:^(BOOL granted, NSError *error){
		                      }];
	}
	return 1;
}

void godwit_notify_stop(void) {
	@synchronized([GodwitNotifications class]) {
		listener = 0;
	}
}

// text is nil-safe: what is not UTF-8 becomes the empty string.
static NSString *text(const char *s) {
	NSString *t = [NSString stringWithUTF8String:s];
	return t == nil ? @"" : t;
}

void godwit_notify_show(const char *key, const char *target, const char *title, const char *body) {
	@autoreleasepool {
		UNMutableNotificationContent *content = [[UNMutableNotificationContent alloc] init];
		content.title = text(title);
		content.body = text(body);
		content.userInfo = @{@"target" : text(target)};
		// The same identifier takes the place of the note before.
		UNNotificationRequest *request = [UNNotificationRequest requestWithIdentifier:text(key) content:content trigger:nil];
		[[UNUserNotificationCenter currentNotificationCenter] addNotificationRequest:request withCompletionHandler:nil];
	}
}

void godwit_notify_withdraw(const char *key) {
	@autoreleasepool {
		NSArray<NSString *> *keys = @[ text(key) ];
		UNUserNotificationCenter *center = [UNUserNotificationCenter currentNotificationCenter];
		[center removePendingNotificationRequestsWithIdentifiers:keys];
		[center removeDeliveredNotificationsWithIdentifiers:keys];
	}
}
