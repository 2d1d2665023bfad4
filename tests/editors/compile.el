;;; compile.el --- Runs a compilation and prints what Emacs understood  -*- lexical-binding: t; -*-

;;; Code:

(require 'skep)
(require 'json)

(defun print-messages (buffer)
  "Wait for the compilation in BUFFER and print its messages as JSON."
  (let ((found nil) (inhibit-message t))
    (with-current-buffer buffer
      (while (get-buffer-process buffer)
        (accept-process-output nil 0.02))
      (compilation--ensure-parse (point-max))
      (goto-char (point-min))
      (while (not (eobp))
        (let ((message (get-text-property (point) 'compilation-message)))
          (when message
            (let* ((loc (compilation--message->loc message))
                   (file (caar (compilation--loc->file-struct loc))))
              (push `((file . ,file)
                      (line . ,(or (compilation--loc->line loc) 0))
                      (column . ,(or (compilation--loc->col loc) 0))
                      (type . ,(compilation--message->type message))
                      (code . ,(skep-code-at-point))
                      (lands-before . ,(compile--landing file)))
                    found))))
        (forward-line 1)))
    (princ (json-encode (vconcat (nreverse found))))
    (terpri)))

(defun compile--landing (file)
  "The rest of the line that `compile-goto-error' goes to in FILE."
  (when (file-exists-p file)
    (save-window-excursion
      (save-excursion
        (compile-goto-error)
        (with-current-buffer (find-file-noselect file)
          (buffer-substring-no-properties (point) (line-end-position)))))))

;;; compile.el ends here
