;;; skep.el --- Findings of skep, the driver for BPF development  -*- lexical-binding: t; -*-

;; License: MIT OR Apache-2.0
;; Package-Requires: ((emacs "27.1"))
;; Keywords: tools, processes

;;; Commentary:

;; Makes `M-x compile' understand what skep finds: file, line, column and
;; severity, with the code in a face of its own.
;;
;;   (require 'skep)
;;
;; `M-x skep-build', `skep-check' and `skep-verify' run skep for the project
;; that the current file belongs to, in a buffer of their own where
;; `M-x skep-explain' explains the code of the finding at point.  Columns are
;; right there too where lines are indented with tabs, which `M-x compile'
;; takes for eight columns each.

;;; Code:

(require 'compile)

(defgroup skep nil
  "The driver for BPF development."
  :group 'tools)

(defcustom skep-program "skep"
  "The skep to run: a name to look for in `exec-path', or a path."
  :type 'string)

(defconst skep--severity
  "\\(?:error\\|\\(warning\\)\\|\\(note\\)\\)\\[\\([EW][0-9]\\{4\\}\\)\\]: "
  "A severity and a code, as skep's short format writes them.")

(defconst skep-compilation-error-regexps
  `((skep
     ,(concat "^\\(.+?\\):\\([0-9]+\\):\\(?:\\([0-9]+\\):\\)? " skep--severity)
     1 2 3 (4 . 5) 1 (6 font-lock-constant-face))
    ;; A file as a whole, or a place in an object.  What lies in no file is
    ;; said by `skep:', which has neither dot nor slash.
    (skep-file
     ,(concat "^\\([^\n]*?[./][^\n]*?\\):"
              "\\(?: section [^\n]+?\\(?:, instruction [0-9]+\\)?:\\| instruction [0-9]+:\\)? "
              skep--severity)
     1 nil nil (2 . 3) 1 (4 font-lock-constant-face)))
  "What a line of skep's short format looks like.
Elements are as in `compilation-error-regexp-alist-alist'.")

(dolist (entry (reverse skep-compilation-error-regexps))
  (setf (alist-get (car entry) compilation-error-regexp-alist-alist) (cdr entry))
  (add-to-list 'compilation-error-regexp-alist (car entry)))

(defvar skep-compilation-mode-map
  (let ((map (make-sparse-keymap)))
    (set-keymap-parent map compilation-mode-map)
    (define-key map "x" #'skep-explain)
    map)
  "Keys of buffers that skep writes its findings to.")

(define-compilation-mode skep-compilation-mode "skep"
  "Shows what skep finds.
\\<skep-compilation-mode-map>\\[skep-explain] explains the finding at point."
  (setq-local compilation-error-regexp-alist (mapcar #'car skep-compilation-error-regexps))
  ;; skep counts a tab as one column, like clang.
  (setq-local compilation-error-screen-columns nil))

(defun skep--run (command)
  "Run COMMAND of skep for the project around the current directory."
  (let ((default-directory
         (or (locate-dominating-file default-directory "Skep.toml") default-directory)))
    (compilation-start
     (format "%s %s --message-format short --color never"
             (shell-quote-argument skep-program) command)
     #'skep-compilation-mode)))

;;;###autoload
(defun skep-build ()
  "Compile the project's BPF programs."
  (interactive)
  (skep--run "build"))

;;;###autoload
(defun skep-check ()
  "Check the project's objects without a kernel."
  (interactive)
  (skep--run "check"))

;;;###autoload
(defun skep-verify ()
  "Let real kernels verify the project's programs."
  (interactive)
  (skep--run "verify"))

(defun skep-code-at-point ()
  "The code of the finding on the current line, or nil."
  (save-excursion
    (beginning-of-line)
    (when (re-search-forward skep--severity (line-end-position) t)
      (match-string-no-properties 3))))

;;;###autoload
(defun skep-explain (code)
  "Say what CODE means; interactively, the code of the finding at point."
  (interactive
   (list (or (skep-code-at-point) (read-string "Code: "))))
  (with-help-window "*skep explain*"
    (with-current-buffer standard-output
      (call-process skep-program nil t nil "explain" code))))

(provide 'skep)
;;; skep.el ends here
