" Vim compiler plugin for skep, the driver for BPF development. Also for Neovim.
"
"   :compiler skep
"   :make build            or check, or verify; then :copen, :cnext
"
" Each finding becomes a quickfix entry with its file, line, column and type.
" The text begins with the code, which `skep explain CODE` tells more about.

if exists('current_compiler')
  finish
endif
let current_compiler = 'skep'

let s:cpo_save = &cpo
set cpo&vim

if exists(':CompilerSet') != 2
  command -nargs=* CompilerSet setlocal <args>
endif

CompilerSet makeprg=skep\ --message-format\ short\ --color\ never\ $*

" Most exact first: what lies in no file is kept as text; a line and column; a
" line; a place in an object, without a line of the source; a whole file. All
" else, such as progress and tables, is left out.
let s:formats = ['%+Gskep: error[%.%#', '%+Gskep: warning[%.%#', '%+Gskep: note[%.%#']
" Looks ahead for the code that every finding has.
let s:coded = '%\%%([%*[EW]%*\d]:%\)%\@=%m'
for s:place in ['%f:%l:%c:', '%f:%l:', '%f: section %.%#:', '%f: instruction %\d%\+:', '%f:']
  for s:severity in ['%trror', '%tarning', '%tote']
    call add(s:formats, s:place . ' ' . s:severity . s:coded)
  endfor
endfor
call add(s:formats, '%-G%.%#')
execute 'CompilerSet errorformat=' . escape(join(s:formats, ','), ' \|"')

unlet s:formats s:coded s:place s:severity
let &cpo = s:cpo_save
unlet s:cpo_save
