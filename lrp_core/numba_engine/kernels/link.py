"""How Numba compiles what only kernels call: to LLVM code that becomes part of its callers.

By itself, Numba optimises every function, makes machine code of it, and does both again with all that it
calls wherever it is called. Only an `entry` is ever called from Python: LLVM optimises it and the kernels in
it at once, and makes machine code once, so that the first explanation waits far less.

Numba lets a decorator bring its own compiler pipeline: https://numba.readthedocs.io/en/stable/extending/compiler.html
"""
from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class LinkedCode(JITCodeLibrary):
    """The LLVM code of one function, as its callers take it over: neither optimised nor made machine code."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class LinkedLowering(NativeLowering):
    """Numba's lowering without machine code. Numba requires a function that Python can call:
    it gets an empty one, which is never called.
    """
    _name = "linked_lowering"

    def run_pass(self, state):
        """Lower a function, and tell Numba where its callers find it."""
        state.library = LinkedCode(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        empty = _dynfunc.make_function(lowered.fndesc.lookup_module(), lowered.fndesc.qualname, "", 0,
                                       lowered.env, (state.library,))
        state.targetctx.insert_user_function(empty, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=empty)
        return True


class LinkedCompiler(CompilerBase):
    """Numba's compiler with `LinkedLowering` for its own: `numba.njit(pipeline_class=LinkedCompiler)`."""

    def define_pipelines(self):
        """Numba's passes, the last one exchanged."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(LinkedLowering if one is NativeLowering else one, text)
                         for one, text in passes.passes]
        return [passes]
