;;; M-x compile runs skep here.
((nil . ((compile-command . "skep build --message-format short"))))
